/**
 * The deterministic core of the saga: which steps there are, what is known of each, which of them have to be undone and in
 * what order. It holds no clock and does no I/O; workflow code drives it, and the tests explore it.
 *
 * A compensation is on record before its step is scheduled, so there is no moment in which a step may have happened and
 * nobody knows how to undo it. It is disarmed only by proof that the step did nothing.
 *
 * @see Garcia-Molina, Salem: "Sagas", SIGMOD 1987
 */
import { copyOf } from './copy';
import type { CompensationFate, StepFate, StepReport, StepRole } from './saga';
import type { BranchId } from './words';

/** A step as the saga knows it: data, from which alone it could be undone. */
export interface Step {
  readonly branch: BranchId;
  readonly role: StepRole;
  readonly participant?: string;
  readonly operation: string;
  readonly input: unknown;
  /** The steps that had ended when this one began. It may build on them, so it is undone before them. */
  readonly after: readonly Step[];
  /** False when undoing it takes nothing: a pivot, or a step that says so. */
  readonly compensatable: boolean;
  result: unknown;
  fate: StepFate;
  compensation: CompensationFate;
}

export type NewStep = Pick<Step, 'branch' | 'role' | 'operation' | 'input' | 'compensatable'> & {
  readonly participant?: string;
};

export class SagaJournal {
  readonly #steps: Step[] = [];
  readonly #branches = new Set<string>();

  get steps(): readonly Step[] {
    return this.#steps;
  }

  /** There is no way back once the pivot is done, or a person said so. */
  get pastPivot(): boolean {
    return this.#steps.some((step) => step.role === 'pivot' && tookEffect(step.fate));
  }

  /** Whether of every step it is known how it ended. */
  get allSettled(): boolean {
    return this.#steps.every(({ fate }) => isSettled(fate));
  }

  /** While a pivot runs nobody knows whether there is a way back: what would turn the saga around has to wait. */
  get pivotPending(): boolean {
    return this.#steps.some((step) => step.role === 'pivot' && !isSettled(step.fate));
  }

  /**
   * Whether a step other than this one may stem from an earlier run of the transaction: it answered from the branch log, or
   * has not answered yet. What an earlier run has committed is not for this one to undo.
   */
  mayHaveInherited(except: Step): boolean {
    return this.#steps.some(
      (step) => step !== except && (!isSettled(step.fate) || step.fate.kind === 'unknown' || answeredBefore(step.fate)),
    );
  }

  has(branch: string): boolean {
    return this.#branches.has(branch);
  }

  /** The name a step gets when its author gives none: `debit`, then `debit-2`. */
  nextBranch(name: string): string {
    for (let n = 1; ; n++) {
      const candidate = n === 1 ? name : `${name}-${n}`;
      if (!this.has(candidate)) return candidate;
    }
  }

  begin(step: NewStep): Step {
    const begun: Step = {
      ...step,
      after: this.#steps.filter(({ fate }) => isSettled(fate)),
      result: undefined,
      fate: { kind: 'running' },
      compensation: { kind: step.compensatable ? 'armed' : 'not-needed' },
    };
    this.#steps.push(begun);
    this.#branches.add(step.branch);
    return begun;
  }

  /** Records what became of a step. Only proof that it did nothing disarms its compensation. */
  settle(step: Step, fate: StepFate, result?: unknown): void {
    step.fate = fate;
    // A participant keeps in its log what it has answered. Of anything else this is all there is, and the body has it in hand.
    step.result = step.participant === undefined ? copyOf(result) : result;
    if (provesNothingToUndo(fate)) step.compensation = { kind: 'not-needed' };
  }

  /** There is no way back any more, so nothing else will be undone. */
  disarm(): void {
    for (const step of this.#steps) if (step.compensation.kind === 'armed') step.compensation = { kind: 'not-needed' };
  }

  /**
   * The steps to undo, the last begun first, each with the steps that must be undone before it.
   * Steps that ran side by side do not wait for each other.
   *
   * A saga that commits has something to undo too: a step whose outcome is unknown, and whose failure the body handled by
   * going another way, would otherwise leave both ways in effect.
   */
  plan(which: 'everything' | 'what may have happened unnoticed'): readonly {
    readonly step: Step;
    readonly before: readonly Step[];
  }[] {
    const concerned = which === 'everything' ? () => true : isUncertain;
    const armed = this.#steps.filter((step) => step.compensation.kind === 'armed' && concerned(step)).reverse();
    return armed.map((step) => ({ step, before: armed.filter((other) => other.after.includes(step)) }));
  }

  report(): readonly StepReport[] {
    return this.#steps.map(({ branch, role, participant, operation, fate, compensation }) => ({
      branch,
      role,
      ...(participant === undefined ? {} : { participant }),
      operation,
      fate,
      compensation,
    }));
  }
}

/**
 * What a saga that did not commit amounts to: `mixed` as soon as one effect stays that should not, or lacks that should be.
 */
export function outcomeOf(steps: readonly StepReport[]): 'compensated' | 'mixed' {
  const stays = steps.some(
    (step) =>
      step.compensation.kind === 'skipped' || isGivenUp(step) || (step.role === 'pivot' && tookEffect(step.fate)),
  );
  return stays ? 'mixed' : 'compensated';
}

/** Whether a person gave up a step that nothing undoes: nobody knows whether it did nothing. */
export const isGivenUp = ({ role, fate }: Pick<StepReport, 'role' | 'fate'>): boolean =>
  role !== 'compensatable' && fate.kind === 'skipped';

/** Whether somebody has to look at the saga before it can end. */
export function needsAttention(steps: readonly StepReport[]): boolean {
  return steps.some(({ fate, compensation }) => fate.kind === 'held' || compensation.kind === 'held');
}

/** The first step that a reader should look at: one that is held, or else the one that failed. */
export function stepOfInterest(steps: readonly StepReport[]): StepReport | undefined {
  return (
    steps.find(({ fate, compensation }) => fate.kind === 'held' || compensation.kind === 'held') ??
    steps.find(({ fate }) => fate.kind === 'not-done' || fate.kind === 'unknown')
  );
}

const isSettled = (fate: StepFate): boolean => fate.kind !== 'running' && fate.kind !== 'held';

const isUncertain = ({ fate }: Step): boolean => fate.kind === 'unknown' || fate.kind === 'skipped';

const answeredBefore = (fate: StepFate): boolean => fate.kind === 'done' && fate.answer === 'applied-before';

const tookEffect = (fate: StepFate): boolean =>
  fate.kind === 'done' || (fate.kind === 'resolved' && fate.as === 'done');

/** Whether there is nothing that could be undone. */
export const provesNothingToUndo = (fate: StepFate): boolean =>
  fate.kind === 'not-done' ||
  (fate.kind === 'done' && fate.answer === 'read-only') ||
  (fate.kind === 'resolved' && fate.as === 'not-done');
