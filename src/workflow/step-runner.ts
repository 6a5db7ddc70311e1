/**
 * Runs one step until it is known what became of it: done, not done, or given up as unknown to be undone. What nobody can
 * find out is held for a person.
 */
import type { Duration } from '@temporalio/common';
import { ApplicationFailure, CancellationScope, isCancellation, log, patched } from '@temporalio/workflow';
import type {
  BranchId,
  CompensationFate,
  ExecuteAnswer,
  SagaJournal,
  Step,
  StepFate,
  TransactionId,
} from '../protocol';
import type { Action } from './action';
import { hold } from './desk';
import type { Ruling } from './desk';
import { isFailure, isMismatch, messageOf } from './failures';
import { insist } from './insist';
import type { Insisted } from './insist';
import type { OnUnknown } from './options';
import { rejecting } from './rejecting';
import { stepAfter } from './step-promise';
import type { StepPromise } from './step-promise';
import { isTimeUp } from './worker-circuits';

/** A step with what it takes to run and undo it. */
export interface RunningStep {
  readonly step: Step;
  readonly action: Action;
  /** What is done where its outcome is unknown, as it is by then. */
  readonly onUnknown: () => OnUnknown;
  /** It left semantic locks that somebody has to release. */
  locks: boolean;
}

/** The saga around the step. */
export interface Surroundings {
  readonly transaction: TransactionId;
  readonly journal: SagaJournal;
  readonly holdAfter: Duration;
  /** Something changed that people may want to see. */
  readonly changed: () => void;
  /** The step was done, by whomever. */
  readonly met: (answer: Pick<ExecuteAnswer, 'by' | 'earlier'>) => void;
  /** The step failed with this error, which the body of the saga is about to see. */
  readonly failed: (step: Step, error: unknown) => void;
  /** Sees to it that the failure of a step is no rejection that nobody handles. */
  readonly onRecord: (failed: Promise<unknown>) => void;
}

type FinalRuling = Exclude<Ruling, { kind: 'retry' }>;

export class StepRunner {
  constructor(private readonly saga: Surroundings) {}

  /** Resolves with the step's result; rejects with its failure once that is on record. */
  run(running: RunningStep): StepPromise<unknown> {
    return stepAfter(
      rejecting(() => running.action.execute()),
      (answer) => this.#done(running, answer),
      (error) => {
        // Heard as soon as a success would be: what one is answered by is asked for before what the other is.
        if (!isTimeUp(error) && this.#isSettledBy(running, error))
          return this.#fail(running.step, running.action.fateOf(error), error);
        return this.#goOn(running, error);
      },
      this.saga.onRecord,
    );
  }

  /** Whether there is nothing to find out: it was not done, and nobody else has done it. */
  #isSettledBy({ step, action }: RunningStep, error: unknown): boolean {
    return action.fateOf(error).kind !== 'unknown' && !this.#concernsEarlierRun(step, error);
  }

  async #goOn(running: RunningStep, failure: unknown): Promise<unknown> {
    let error = failure;
    for (let probed = false; ;) {
      const fate = running.action.fateOf(error);
      const { probe, query } = running.action;
      const ask: Action['probe'] = !probed && isTimeUp(error) ? probe : undefined;
      probed ||= ask !== undefined;
      if (!(ask && (await this.#isBack(running.step, ask)))) {
        if (this.#isSettledBy(running, error)) return this.#fail(running.step, fate, error);
        const onUnknown = fate.kind === 'unknown' ? running.onUnknown() : 'hold';
        // A bug of the step's code: no person can settle it, mended code can.
        if (onUnknown === 'compensate' || !isFailure(error)) return this.#fail(running.step, fate, error);
        if (onUnknown === 'query' && query) return this.#query(running, query, error);
        const ruling = await this.#awaitRuling(running.step, error);
        if (ruling.kind !== 'retry') return this.#ruled(running.step, ruling, error);
      }
      try {
        return this.#done(running, await running.action.execute());
      } catch (another) {
        error = another;
      }
    }
  }

  /** Whether a participant that did not answer in time does so again. Then it is asked once more, which it knows by the branch. */
  async #isBack({ branch, participant }: Step, ask: NonNullable<Action['probe']>): Promise<boolean> {
    try {
      const probed = await ask();
      log.info('A participant was asked how it is, after a step took too long', { branch, participant, ...probed });
      return probed.healthy;
    } catch (error) {
      // Cancelled meanwhile: what is known of the step has not changed.
      if (isCancellation(error)) return false;
      throw error;
    }
  }

  /**
   * Something else stands under this step's name, and other steps may stem from the run that put it there. To fail would
   * undo them, and with them perhaps a transaction that has committed long ago: a person has to look.
   */
  #concernsEarlierRun(step: Step, error: unknown): boolean {
    return isMismatch(error) && this.saga.journal.mayHaveInherited(step);
  }

  /** The same for a step that has to succeed: tried without end, and held when it keeps failing. */
  async runUntilDone(running: RunningStep): Promise<unknown> {
    const { step, action } = running;
    const insisted = await this.#insist(step, 'step', (limit) => action.insist(limit));
    if (insisted.kind === 'succeeded') return this.#done(running, insisted.value);
    return this.#ruled(step, insisted, undefined);
  }

  /** Finds out what became of a step that somebody else has asked for. */
  async findOut(running: RunningStep): Promise<void> {
    const { query } = running.action;
    // What it says is on record; a "no" is an answer.
    if (query) await this.#query(running, query, NOT_DONE).catch(() => undefined);
  }

  /** Undoes a step, however long it takes. */
  async undo({ step, action }: RunningStep): Promise<void> {
    this.#setCompensation(step, { kind: 'running' });
    const insisted = await this.#insist(
      step,
      'compensation',
      (limit) => action.compensate(limit, step.result),
      ({ answer }) => (answer === 'nothing-to-compensate' ? stillThere(step) : undefined),
    );
    this.#setCompensation(step, compensationFateOf(insisted));
  }

  /** Finds out what became of a step, and goes on as if it had said so itself. */
  async #query(running: RunningStep, query: NonNullable<Action['query']>, error: unknown): Promise<unknown> {
    const { step } = running;
    const insisted = await CancellationScope.nonCancellable(() => this.#insist(step, 'step', query));
    if (insisted.kind !== 'succeeded') return this.#ruled(step, insisted, error);
    const { value } = insisted;
    switch (value.answer) {
      case 'applied':
        return this.#done(running, { ...value, answer: 'applied-before' });
      case 'refused':
        return this.#fail(step, { kind: 'not-done', refusal: value.refusal }, error);
      case 'never-applied':
        return this.#fail(
          step,
          { kind: 'not-done', refusal: { code: 'never-applied', message: messageOf(error) } },
          error,
        );
    }
  }

  async #awaitRuling(step: Step, error: unknown): Promise<Ruling> {
    const desk = hold(this.saga.transaction, step.branch, 'step');
    this.#settle(step, { kind: 'held', cause: messageOf(error) });
    try {
      await CancellationScope.nonCancellable(() => desk.ruled());
      const ruling = desk.take() ?? { kind: 'retry' };
      if (ruling.kind === 'retry') this.#settle(step, { kind: 'running' });
      return ruling;
    } finally {
      desk.close();
    }
  }

  #ruled(step: Step, ruling: FinalRuling, error: unknown): unknown {
    const { by, reason } = ruling;
    if (ruling.kind === 'skip')
      return this.#fail(step, { kind: 'skipped', by, reason }, skipped(step.branch, by, error));
    if (ruling.as === 'not-done')
      return this.#fail(
        step,
        { kind: 'resolved', as: 'not-done', by, reason },
        error ?? skipped(step.branch, by, error),
      );
    this.#settle(step, { kind: 'resolved', as: 'done', by, reason }, ruling.result);
    return ruling.result;
  }

  #done(running: RunningStep, { answer, result, locks, ...doer }: ExecuteAnswer): unknown {
    running.locks = locks === true;
    this.saga.met(doer);
    this.#settle(running.step, { kind: 'done', answer }, result);
    return result;
  }

  #fail(step: Step, fate: StepFate, error: unknown): never {
    this.saga.failed(step, error);
    this.#settle(step, fate);
    throw error;
  }

  #settle(step: Step, fate: StepFate, result?: unknown): void {
    this.saga.journal.settle(step, fate, result);
    this.saga.changed();
  }

  #setCompensation(step: Step, fate: CompensationFate): void {
    step.compensation = fate;
    this.saga.changed();
  }

  #insist<T>(
    step: Step,
    what: 'step' | 'compensation',
    attempt: (limit: Duration) => Promise<T>,
    lacking?: (value: T) => Error | undefined,
  ): Promise<Insisted<T>> {
    return insist({
      attempt,
      lacking,
      holdAfter: this.saga.holdAfter,
      hold: () => hold(this.saga.transaction, step.branch, what),
      onHeld: (cause) => {
        log.warn(`A ${what} is held: it keeps failing and waits for a person`, {
          transaction: this.saga.transaction,
          branch: step.branch,
          cause,
        });
        if (what === 'step') this.#settle(step, { kind: 'held', cause });
        else this.#setCompensation(step, { kind: 'held', cause });
      },
    });
  }
}

function compensationFateOf(insisted: Insisted<Awaited<ReturnType<Action['compensate']>>>): CompensationFate {
  switch (insisted.kind) {
    case 'succeeded':
      return insisted.value.answer === 'nothing-to-compensate'
        ? { kind: 'nothing-to-compensate' }
        : { kind: 'compensated' };
    case 'skip':
      return { kind: 'skipped', by: insisted.by, reason: insisted.reason };
    case 'resolve':
      return { kind: 'resolved', by: insisted.by, reason: insisted.reason };
  }
}

/** Why a step is not undone although its participant knows nothing of it. The version before took it for undone. */
function stillThere({ branch, participant, fate }: Step): ApplicationFailure | undefined {
  if (fate.kind === 'resolved' && patched('temporal-txn-left-by-hand'))
    return ApplicationFailure.nonRetryable(
      `Nothing was undone: ${branch} was done by hand, as ${fate.by} said, and not by its participant. Undo it by hand and use resolve, ` +
        'or skipStep to let it stay.',
    );
  if (fate.kind === 'done' && patched('temporal-txn-done-elsewhere'))
    return ApplicationFailure.nonRetryable(
      `Nothing was undone: ${participant ?? 'its participant'} has told that ${branch} was done, and knows nothing of it now. One of its workers ` +
        'works on another database, or the database was restored to a moment before, or its branch log was purged. Mend that and use retryStep, ' +
        'or undo it by hand and use resolve.',
    );
  return undefined;
}

const NOT_DONE = ApplicationFailure.nonRetryable('It was asked for before this run, and was not done.');

const skipped = (branch: BranchId, by: string, cause: unknown): ApplicationFailure =>
  ApplicationFailure.create({
    type: 'StepSkipped',
    message: `${branch} was given up by ${by}`,
    nonRetryable: true,
    ...(cause instanceof Error ? { cause } : {}),
  });
