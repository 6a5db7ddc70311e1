/**
 * The desk at which a person settles what the saga cannot settle itself: the updates `retryStep`, `skipStep` and `resolve`.
 * One desk a workflow, whichever transactions run in it; each ruling names its step, and where several wait under the same
 * name, its transaction.
 */
import { ApplicationFailure, condition, defineUpdate, setHandler } from '@temporalio/workflow';
import { readAttempt, show } from '../protocol';
import type { BranchId, TransactionId } from '../protocol';
import { membership } from './context';
import { noteRuling } from './local-activities';
import { outside } from './outside';
import { perWorkflow } from './per-workflow';

/** What every ruling holds. One object, because the form of the Web UI takes one JSON argument. */
export interface RulingRequest {
  /** Branch id of a held step, as the details and the report show it. */
  readonly step: string;
  /** Needed only where several transactions of the workflow hold a step of that name. */
  readonly transaction?: string;
  /** Why. Kept in the report. */
  readonly reason: string;
  /** Who. Kept in the report. */
  readonly by: string;
}

export interface ResolveRequest extends RulingRequest {
  /**
   * What is true now, by the hand of the person: `done` — the step took effect (for a compensation: it is undone);
   * `not-done` — it did not and never will. For a compensation only `done` is possible.
   * @default 'done'
   */
  readonly as?: 'done' | 'not-done';
  /** What the step's `execute` would have returned; for a forward step resolved as `done`. */
  readonly result?: unknown;
}

export type Ruling =
  | { readonly kind: 'retry' }
  | { readonly kind: 'skip'; readonly by: string; readonly reason: string }
  | {
      readonly kind: 'resolve';
      readonly by: string;
      readonly reason: string;
      readonly as: 'done' | 'not-done';
      readonly result?: unknown;
    };

/** Tries a held step again at once. */
export const retryStepUpdate = defineUpdate<string, [RulingRequest]>('retryStep');
/** Gives a held step up: a forward step counts as failed, the effect of a compensation's step stays. */
export const skipStepUpdate = defineUpdate<string, [RulingRequest]>('skipStep');
/** Says what became of a held step by other means. */
export const resolveUpdate = defineUpdate<string, [ResolveRequest]>('resolve');

/** A step that waits. */
export interface Hold {
  /** Waits for a ruling. */
  ruled(): Promise<void>;
  /** Takes the ruling, if there is one. */
  take(): Ruling | undefined;
  /** It does not wait any more. */
  close(): void;
  /** Only a person can help now, or not: then it goes on being tried. */
  stick(stuck: boolean): void;
  /** Nobody can rule here: the transaction has left its group, and waits in a workflow of its own. */
  readonly left?: true;
}

/** What can be held. */
export type Held =
  | 'step'
  | 'compensation'
  /** Of a branch that is prepared: it did otherwise than decided, or does not answer. */
  | 'finish'
  /** Of a branch that is not ours: it has not said that it followed. */
  | 'acknowledgement'
  /** The register does not answer: nobody can take its place. */
  | 'decision';

interface Entry {
  readonly transaction: TransactionId;
  readonly branch: BranchId;
  readonly what: Held;
  readonly rulings: Ruling[];
  /** Nothing is being tried any more. */
  stuck: boolean;
}

const desk = perWorkflow(() => ({ entries: new Set<Entry>(), open: false }));

export function hold(transaction: TransactionId, branch: BranchId, what: Held): Hold {
  const group = membership();
  if (group) {
    const left = group.leave(`the ${what} of ${branch} waits for a person`);
    return { ruled: () => left, take: () => undefined, close: () => undefined, stick: () => undefined, left: true };
  }
  openDesk();
  const { entries } = desk();
  const entry: Entry = { transaction, branch, what, rulings: [], stuck: false };
  entries.add(entry);
  return {
    ruled: () => condition(() => entry.rulings.length > 0),
    take: () => entry.rulings.shift(),
    close: () => void entries.delete(entry),
    stick: (stuck) => {
      entry.stuck = stuck;
    },
  };
}

/** Takes rulings from the start of the first saga on, so that the Web UI offers them and explains when there is nothing to rule. */
export function openDesk(): void {
  // A group holds nothing: it hands over what waits for a person.
  const state = desk();
  if (state.open || membership()) return;
  state.open = true;
  outside(setHandlers);
}

function setHandlers(): void {
  setHandler(retryStepUpdate, (request) => rule(request, { kind: 'retry' }), {
    validator: check,
    description: 'Tries a held step or compensation again at once. Input: {"step", "reason", "by"}',
  });
  setHandler(skipStepUpdate, (request) => rule(request, { kind: 'skip', by: request.by, reason: request.reason }), {
    validator: checkSkip,
    description:
      'Gives a held step up; for a compensation the effect stays, for a branch it stands otherwise than decided, and the outcome is mixed. Input: {"step", "reason", "by"}',
  });
  setHandler(
    resolveUpdate,
    (request) =>
      rule(request, {
        kind: 'resolve',
        by: request.by,
        reason: request.reason,
        as: request.as ?? 'done',
        result: request.result,
      }),
    {
      validator: checkResolve,
      description:
        'Says that you have settled a held step by other means. Input: {"step", "reason", "by"}, for a step also "as" ("done" or "not-done") and "result"',
    },
  );
}

function rule(request: RulingRequest, ruling: Ruling): string {
  const entry = find(request);
  entry.rulings.push(ruling);
  noteRuling();
  return `${entry.what} ${entry.branch} of ${entry.transaction}: ${ruling.kind}`;
}

const LONGEST_TEXT = 1_000;

function check(request: RulingRequest): void {
  for (const field of ['step', 'reason', 'by'] as const) {
    const value: unknown = (request as Partial<RulingRequest> | undefined)?.[field];
    if (typeof value !== 'string' || value.trim() === '' || value.length > LONGEST_TEXT) {
      refuseRuling(
        `"${field}" is ${show(value)}, not a text of 1 to ${LONGEST_TEXT} characters. Send one object: {"step", "reason", "by"}.`,
      );
    }
  }
  find(request);
}

function checkSkip(request: RulingRequest): void {
  checkRegister(request);
  const { what, stuck } = find(request);
  if (what === 'finish' && !stuck) refuseRuling(WILL_FOLLOW);
}

function checkRegister(request: RulingRequest): void {
  check(request);
  if (find(request).what === 'decision') refuseRuling(ONLY_THE_REGISTER);
}

// Recovery makes it follow, when nobody asks any more: to have called it skipped would have been untrue.
const WILL_FOLLOW =
  'this branch is only late. What it has to do is decided, and it follows as soon as its participant answers, whatever you say here. Bring that back and use retryStep, or resolve once you have seen that it did as decided.';

const ONLY_THE_REGISTER =
  'the decision is in the database of this branch, and nobody can take its place. Bring that database back and use retryStep.';

function checkResolve(request: ResolveRequest): void {
  checkRegister(request);
  const as: unknown = request.as ?? 'done';
  if (as !== 'done' && as !== 'not-done') refuseRuling(`"as" is ${show(as)}, not "done" or "not-done".`);
  if (as === 'done') return;
  const { what } = find(request);
  if (what === 'compensation')
    refuseRuling('a compensation cannot be resolved as not done. Use skipStep to let the effect stay.');
  if (what === 'finish' || what === 'acknowledgement')
    refuseRuling('a branch cannot be resolved as not done. Use skipStep to let it stand otherwise than decided.');
}

function find({ step, transaction }: RulingRequest): Entry {
  const entries = [...desk().entries];
  const found = entries.filter(
    (entry) => entry.branch === step && entry.rulings.length === 0 && isOf(entry, transaction),
  );
  const [entry, another] = found;
  if (another)
    refuseRuling(
      `several transactions hold ${show(step)}. Add "transaction": one of ${found.map((e) => e.transaction).join(', ')}.`,
    );
  if (!entry) {
    if (entries.some((e) => e.branch === step && isOf(e, transaction)))
      refuseRuling(`somebody has ruled on ${show(step)} already, and that is being carried out.`);
    const held = entries.map((e) => e.branch).join(', ');
    refuseRuling(`${show(step)} is not held. ${held === '' ? 'No step is held now.' : `Held now: ${held}.`}`);
  }
  return entry;
}

/** A further attempt is held under its own id, and reported under that of its transaction: people have either. */
const isOf = (entry: Entry, transaction: string | undefined): boolean =>
  transaction === undefined || entry.transaction === transaction || readAttempt(entry.transaction).of === transaction;

function refuseRuling(problem: string): never {
  throw ApplicationFailure.create({
    type: 'RulingRefused',
    message: `Nothing was changed: ${problem}`,
    nonRetryable: true,
  });
}
