/**
 * Many questions in one activity: each is answered as if it had been asked alone, with a local transaction, a row in the branch log
 * and an answer or a failure of its own. One that is slow, refused or poisoned does not keep the others waiting: the activity
 * ends without it, and it is asked again.
 */
import { Context } from '@temporalio/activity';
import { crashpoint, isTooDeep, LARGEST_PAYLOAD_BYTES } from '../protocol';
import type { AskedOfMany, BranchRequest, ExecuteAnswer, ManyAnswer, ManyAnswers, ManyRequest } from '../protocol';
import { measured, parseRequest } from './answering';
import { inAskedSpan } from './asked-span';
import type { Branch } from './branch';
import { executeTogether } from './execute-together';
import { toldFailure } from './failures';
import { Limiter } from './limiter';

/** Questions by activity type, as they are asked alone. Their arguments are their own affair. */
type Questions = Readonly<Record<string, (request: never) => Promise<unknown>>>;

export interface ManyOptions {
  readonly questions: Questions;
  /** A branch of the operation of that name, where it has a set-based form. */
  readonly together: (activity: string) => Branch | undefined;
  /** How many local transactions run at a time, in all activities of the process. */
  readonly concurrency: number;
}

/** Branches that share a local transaction. When one of them spoils it, so many are done one by one. */
const MOST_TOGETHER = 128;
/** An answer that keeps all others waiting for longer than that, and for longer than any of them took, is waited for no more. */
const STRAGGLING_MS = 100;
/** The activity ends so long before its time is up, whoever is still at work. */
const MARGIN_MS = 2_000;
const LOOK_EVERY_MS = 20;

export function askedOfMany({ questions, together, concurrency }: ManyOptions) {
  const limiter = new Limiter(concurrency);
  /** What an activity has ended without. Asked again, it is waited for, and not begun beside itself. */
  const underWay = new Map<string, Promise<ManyAnswer>>();

  const askAlone = (item: AskedOfMany): Promise<ManyAnswer> => {
    // It is refused, and must not stop the others before that.
    if (isTooDeep(item.request)) return answerOf(questions, item);
    const key = keyOf(item);
    const known = underWay.get(key);
    if (known) return known;
    const asked = answerOf(questions, item).finally(() => underWay.delete(key));
    underWay.set(key, asked);
    return asked;
  };

  return async (given: ManyRequest): Promise<ManyAnswers> => {
    const items = [...given.items];
    const itemAt = (at: number): AskedOfMany => items[at] as AskedOfMany; // Cast: positions are those of the items.
    const round = new Round(items.length);
    const alone = (positions: readonly number[]): Promise<unknown> =>
      Promise.all(
        positions.map((at) =>
          limiter.run(async () => {
            if (round.isOver) return;
            const began = round.begin();
            round.answer(at, await askAlone(itemAt(at)), began);
          }),
        ),
      );
    const inSets = async (branch: Branch, positions: readonly number[]): Promise<void> => {
      const left = await limiter.run(async () => {
        if (round.isOver) return [];
        const began = performance.now();
        const together = answersTogether(branch, positions, items);
        for (const at of positions) void inAskedSpan(itemAt(at), () => together.then((all) => answerIn(all, at)));
        const answers = await together;
        for (const [at, answer] of answers) {
          round.begin();
          round.answer(at, { answer }, began);
        }
        return positions.filter((at) => !answers.has(at));
      });
      await alone(left);
    };
    const all = [...byActivity(items)].flatMap(([activity, positions]) => {
      const branch = positions.length > 1 ? together(activity) : undefined;
      return branch ? chunks(positions, MOST_TOGETHER).map((some) => inSets(branch, some)) : [alone(positions)];
    });
    await round.untilOver(Promise.all(all));
    await crashpoint('many.done-before-report');
    return { answers: fitting(round.answers) };
  };
}

/** One activity, from its first question to its end. */
class Round {
  readonly #answers: ManyAnswer[];
  #begun = 0;
  #answered = 0;
  #longestMs = 0;
  #lastAnswer = performance.now();
  #over = false;

  constructor(private readonly size: number) {
    this.#answers = Array.from({ length: size }, () => 'not-yet' as const);
  }

  get isOver(): boolean {
    return this.#over;
  }

  get answers(): readonly ManyAnswer[] {
    return this.#answers;
  }

  begin(): number {
    this.#begun++;
    return performance.now();
  }

  answer(at: number, answer: ManyAnswer, began: number): void {
    if (this.#over) return;
    this.#answers[at] = answer;
    this.#answered++;
    this.#lastAnswer = performance.now();
    this.#longestMs = Math.max(this.#longestMs, this.#lastAnswer - began);
  }

  /** Waits for all, or until nobody but stragglers is left. */
  async untilOver(all: Promise<unknown>): Promise<void> {
    const { startToCloseTimeoutMs } = Context.current().info;
    const end = performance.now() + Math.max(startToCloseTimeoutMs - MARGIN_MS, startToCloseTimeoutMs / 2);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setInterval(() => {
        if (this.#straggles() || performance.now() > end) resolve();
      }, LOOK_EVERY_MS);
    });
    try {
      await Promise.race([all, late]);
    } finally {
      clearInterval(timer);
      this.#over = true;
    }
  }

  #straggles(): boolean {
    if (this.#answered === 0 || this.#begun < this.size) return false;
    return performance.now() - this.#lastAnswer > Math.max(STRAGGLING_MS, 2 * this.#longestMs);
  }
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
  branch: Branch,
  positions: readonly number[],
  items: readonly AskedOfMany[],
): Promise<ReadonlyMap<number, ExecuteAnswer>> {
  try {
    return await measured(branch.name, async () => {
      const requests = new Map(positions.map((at) => [parseRequest(items[at]?.request as Partial<BranchRequest>), at]));
      const answers = await executeTogether(branch, [...requests.keys()]);
      // Cast: answers are about these requests.
      return new Map([...answers].map(([request, answer]) => [requests.get(request) as number, answer]));
    });
  } catch (error) {
    Context.current().log.debug('Branches were not done together, and each is done by itself', { error });
    return new Map();
  }
}

function byActivity(items: readonly AskedOfMany[]): ReadonlyMap<string, readonly number[]> {
  const positions = new Map<string, number[]>();
  for (const [at, { activity }] of items.entries()) {
    const known = positions.get(activity);
    if (known) known.push(at);
    else positions.set(activity, [at]);
  }
  return positions;
}

function chunks<T>(all: readonly T[], most: number): T[][] {
  const count = Math.ceil(all.length / most);
  const size = Math.ceil(all.length / count);
  return Array.from({ length: count }, (_, i) => all.slice(i * size, (i + 1) * size));
}

/** The same question of the same asker: another one may ask for something else under the same name, and is told so. */
const keyOf = ({ activity, request }: AskedOfMany): string => {
  const { again: _, ...asked } = request as BranchRequest; // Cast: whatever it is, it is compared only.
  return `${Context.current().info.workflowExecution?.workflowId ?? ''} ${activity} ${JSON.stringify(asked)}`;
};

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
