/**
 * Many questions in one activity: each is answered as if it had been asked alone, with a local transaction, a row in the branch log
 * and an answer or a failure of its own. One that is slow, refused or poisoned does not keep the others waiting: the activity
 * ends without it, and it is asked again.
 */
import { Context } from '@temporalio/activity';
import { crashpoint, isTooDeep, LARGEST_PAYLOAD_BYTES } from '../protocol';
import type { AskedOfMany, BranchRequest, ExecuteAnswer, ManyAnswer, ManyAnswers, ManyRequest } from '../protocol';
import { measured } from './answering';
import { inAskedSpan } from './asked-span';
import { executeTogether } from './execute-together';
import { GroupResetError } from './errors';
import { toldFailure } from './failures';
import { Limiter } from './limiter';
import { Round } from './round';
import { nameOf, setsIn } from './sets';
import type { BranchSet, Openers } from './sets';

/** Questions by activity type, as they are asked alone. Their arguments are their own affair. */
type Questions = Readonly<Record<string, (request: never) => Promise<unknown>>>;

export interface ManyOptions {
  readonly questions: Questions;
  /** By their activity types, the operations that have a set-based form. */
  readonly together: Openers;
  /** How many local transactions run at a time, in all activities of the process. */
  readonly concurrency: number;
}

/** A question, and what tells it apart from every other one. */
interface Item extends AskedOfMany {
  readonly key: unknown;
}

export function askedOfMany({ questions, together, concurrency }: ManyOptions) {
  const limiter = new Limiter(concurrency);
  /** What an activity may have ended without, too. Asked again, it is waited for, and not begun beside itself. */
  const underWay = new Map<unknown, Promise<ManyAnswer>>();
  let setsUnderWay = 0;

  const begin = (key: unknown, answer: Promise<ManyAnswer>): Promise<ManyAnswer> => {
    const forget = (): boolean => underWay.delete(key);
    underWay.set(key, answer);
    // Before whoever hears of it, for what is forgotten is asked again.
    void answer.then(forget, forget);
    return answer;
  };

  return async (given: ManyRequest): Promise<ManyAnswers> => {
    checkRun(given);
    const items = given.items.map(readItem);
    const itemAt = (at: number): Item => items[at] as Item; // Cast: positions are those of the items.
    const round = new Round(items.length);
    const alone = async (at: number): Promise<void> => {
      const item = itemAt(at);
      while (round.waitsFor(at)) {
        const known = underWay.get(item.key);
        // It has its place already, and takes no second one however often it is asked again.
        if (known) await round.hear(at, known);
        else
          await limiter.run(() =>
            round.isOver || underWay.has(item.key)
              ? Promise.resolve()
              : round.hear(at, begin(item.key, answerOf(questions, item))),
          );
      }
    };
    const inSet = async ({ open, members }: BranchSet): Promise<void> => {
      const done = limiter.run(async () => {
        if (round.isOver) return;
        const free = new Map([...members].filter(([at]) => !underWay.has(itemAt(at).key)));
        const answers = answersTogether(open, free, setsUnderWay);
        const each = [...free.keys()].map((at) => {
          const answer = inAskedSpan(itemAt(at), () => answers.then((all) => answerIn(all, at)));
          return round.hear(at, begin(itemAt(at).key, answer));
        });
        await Promise.all(each);
      });
      await done.finally(() => setsUnderWay--);
      await Promise.all([...members.keys()].map(alone));
    };
    const sets = setsIn(items, together);
    setsUnderWay += sets.length;
    const inSets = new Set(sets.flatMap(({ members }) => [...members.keys()]));
    const others = [...items.keys()].filter((at) => !inSets.has(at));
    const running = sets.map((set) => ({ set, done: inSet(set) }));
    const ahead = new Map(
      running.flatMap(({ set, done }) =>
        [...set.members].map(([at, request]) => [nameOf(request), { key: itemAt(at).key, done }] as const),
      ),
    );
    const inTurn = (at: number): Promise<void> => {
      const first = ahead.get(nameOf(itemAt(at).request));
      // Something else under the same name: whoever was asked for first has it.
      return first && first.key !== itemAt(at).key ? first.done.then(() => alone(at)) : alone(at);
    };
    await round.untilOver(Promise.all([...running.map(({ done }) => done), ...others.map(inTurn)]));
    await crashpoint('many.done-before-report');
    return { answers: fitting(round.answers) };
  };
}

/**
 * What a group has handed over goes on elsewhere, and may come to another end. A run that was reset to before that would do the next step
 * beside it, which nobody would undo. The workflow goes by its history, which is that of the first run.
 */
function checkRun({ run }: ManyRequest): void {
  const asker = Context.current().info.workflowExecution;
  if (run !== undefined && asker && asker.runId !== run) throw new GroupResetError(asker.workflowId);
}

/** What came over the wire is data: a request that is none has no fields, and is refused for that, by itself. */
function readItem(item: AskedOfMany): Item {
  const request: unknown = item.request;
  const read = { ...item, request: typeof request === 'object' && request !== null ? request : {} };
  return { ...read, key: keyOf(read) };
}

const answerOf = (questions: Questions, item: AskedOfMany): Promise<ManyAnswer> =>
  inAskedSpan(item, async () => {
    const { activity, request } = item;
    try {
      const question = Object.hasOwn(questions, activity) ? questions[activity] : undefined;
      if (!question) throw new UnknownQuestion(activity);
      // Cast: what comes over the wire is checked by whom it is meant for.
      return { answer: await measured(activity, () => question(request as never)) };
    } catch (error) {
      return { failure: toldFailure(error) };
    }
  });

/** Retried: a worker of another version may have it. */
class UnknownQuestion extends Error {
  override readonly name = 'UnknownQuestion';

  constructor(activity: string) {
    super(`Nothing was changed: this worker has no activity ${activity}. Deploy one that declares the operation.`);
  }
}

const answerIn = (answers: ReadonlyMap<number, ExecuteAnswer>, at: number): ManyAnswer => {
  const answer = answers.get(at);
  return answer ? { answer } : 'not-yet';
};

/** Empty when they could not be done together. */
async function answersTogether(
  open: BranchSet['open'],
  members: BranchSet['members'],
  sets: number,
): Promise<ReadonlyMap<number, ExecuteAnswer>> {
  if (members.size === 0) return new Map();
  try {
    const branch = open();
    return await measured(branch.name, async () => {
      const answers = await executeTogether(branch, [...members.values()], sets);
      await crashpoint('branch.committed-before-report');
      const answered = [...members].flatMap(([at, request]) => {
        const answer = answers.get(request);
        return answer ? [[at, answer] as const] : [];
      });
      return new Map(answered);
    });
  } catch (error) {
    Context.current().log.debug('Branches were not done together, and each is done by itself', { error });
    return new Map();
  }
}

/** The same question of the same asker: another one may ask for something else under the same name, and is told so. */
function keyOf({ activity, request }: AskedOfMany): unknown {
  // It cannot be written down, and is like no other.
  if (isTooDeep(request)) return request;
  const { again: _, ...asked } = request as BranchRequest; // Cast: whatever it is, it is compared only.
  return `${Context.current().info.workflowExecution?.workflowId ?? ''} ${activity} ${JSON.stringify(asked)}`;
}

/** Answers that one payload has no room for are asked again, and are then in the branch log. The first one always fits. */
function fitting(answers: readonly ManyAnswer[]): ManyAnswer[] {
  let bytes = 0;
  return answers.map((answer) => {
    const size = Buffer.byteLength(JSON.stringify(answer));
    if (bytes > 0 && bytes + size > LARGEST_PAYLOAD_BYTES) return 'not-yet';
    bytes += size;
    return answer;
  });
}
