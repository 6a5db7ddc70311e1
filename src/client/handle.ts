/** A transaction that was started: wait for it, look at it, and settle what it cannot settle itself. */
import { randomUUID } from 'node:crypto';
import {
  ApplicationFailure,
  isGrpcServiceError,
  TerminatedFailure,
  TimeoutFailure,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import type { Client, WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import { AbortCode, FailureType } from '../protocol';
import type { Away, DecisionNotice, TransactionReport } from '../protocol';
import {
  InvalidPatience,
  NoWorkerAnswers,
  ParticipantUnavailable,
  RulingRefused,
  TransactionAborted,
  TransactionCompensated,
  TransactionFailed,
  TransactionInputMismatch,
  TransactionInterrupted,
  TransactionMixed,
  TransactionNotAttempted,
  TransactionNotFound,
  TransactionTimeout,
} from './errors';
import { TemporalCalls, WaitOver } from './temporal-calls';
import type { WaitOptions } from './temporal-calls';

/** Why and by whom a held step is ruled on. */
export interface Ruling {
  /** Branch id of the held step, as the report shows it. */
  readonly step: string;
  /** Needed only where several transactions of one workflow hold a step of that name. */
  readonly transaction?: string;
  readonly reason: string;
  readonly by: string;
}

export interface Resolution extends Ruling {
  /** What is true now. @default 'done' */
  readonly as?: 'done' | 'not-done';
  /** What the step would have returned. */
  readonly result?: unknown;
}

/** Of a worker: it may have to replay a long history first. */
export const LONGEST_QUESTION_MS = 10_000;

export class TransactionHandle<R = unknown> {
  readonly #workflow: WorkflowHandle;
  readonly #calls: TemporalCalls;

  constructor(
    client: Client,
    readonly id: string,
    calls = new TemporalCalls(client),
  ) {
    this.#workflow = client.workflow.getHandle(id);
    this.#calls = calls;
  }

  /**
   * Waits for the transaction and returns its result.
   *
   * @param wait how long; a wait that ends leaves the transaction as it is
   * @throws {TransactionTimeout} when the caller's time is up
   * @throws {TemporalUnavailable} when Temporal is away for longer than the client is patient
   * @throws {ParticipantUnavailable} when nothing took effect, because one did not vote in time
   * @throws {TransactionAborted} {TransactionCompensated} when nothing took effect, or everything was undone
   * @throws {TransactionInputMismatch} when the id belongs to an earlier transaction with another input, which stands
   * @throws {TransactionMixed} when effects stay that should not
   * @throws {TransactionNotAttempted} when it did not begin, because a participant was away
   * @throws {TransactionInterrupted} when the workflow was terminated or timed out
   * @throws {TransactionFailed} when it failed otherwise
   * @throws {TransactionNotFound}
   */
  async result(wait: WaitOptions = {}): Promise<R> {
    return (await this.#ask('long', () => this.#workflow.result(), wait)) as R; // Cast: the caller named the workflow and so its result.
  }

  /** One call about this transaction. */
  async #ask<T>(kind: 'short' | 'long', make: () => Promise<T>, { timeoutMs, signal }: WaitOptions = {}): Promise<T> {
    if (timeoutMs !== undefined && !(timeoutMs >= 0)) throw new InvalidPatience(timeoutMs);
    try {
      return await this.#calls.make({
        atStake: 'unknown',
        id: this.id,
        kind,
        make,
        ...(timeoutMs === undefined ? {} : { until: Date.now() + timeoutMs }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      if (error instanceof WaitOver) throw new TransactionTimeout(this.id, timeoutMs ?? 0);
      throw translate(this.id, error);
    }
  }

  /**
   * Waits until the transaction is decided, which is when a caller may go on: branches may still be following, and will,
   * whatever crashes. Not for sagas, which decide nothing.
   *
   * @param wait how long; a wait that ends leaves the transaction as it is
   * @throws {TransactionNotFound}
   * @throws what {@link result} throws, when the transaction has ended without a decision
   */
  async decision(wait: WaitOptions = {}): Promise<DecisionNotice> {
    // The same question, however often it has to be asked.
    const updateId = randomUUID();
    const ended = Symbol('ended');
    const answer = await this.#ask(
      'long',
      () =>
        this.#workflow.executeUpdate<DecisionNotice, []>('decision', { updateId }).catch((error: unknown) => {
          // It has ended, and an ended workflow answers no updates; or it ended while we asked.
          if (error instanceof WorkflowNotFoundError || isEndedMeanwhile(error)) return ended;
          throw error;
        }),
      wait,
    );
    return typeof answer === 'symbol' ? this.#decisionOfResult() : answer;
  }

  async #decisionOfResult(): Promise<DecisionNotice> {
    let report: TransactionReport | undefined;
    try {
      await this.result();
      // A workflow may end well although its transaction did not: `twoPhaseCommit.settle` throws nothing.
      report = (await this.reports()).find(({ protocol }) => protocol !== 'saga');
    } catch (error) {
      if (!(error instanceof TransactionFailed)) throw error;
      ({ report } = error);
      if (report === undefined || report.protocol === 'saga' || report.decision === undefined) throw error;
    }
    if (report === undefined || report.protocol === 'saga' || report.decision === undefined)
      throw new TransactionFailed(this.id, `Transaction ${this.id} has ended without a decision.`, report);
    const cause = 'cause' in report ? report.cause : undefined;
    return {
      transaction: report.id,
      decision: report.decision,
      ...(cause === undefined ? {} : { reason: cause.reason }),
    };
  }

  /**
   * How each transaction of the workflow stands, the outermost first. Asks a worker of the workflow.
   *
   * @typeParam Protocol which protocols the workflow is known to use: `reports<'saga'>()`
   * @throws {TransactionNotFound}
   * @throws {NoWorkerAnswers} when none does within ten seconds
   */
  async reports<Protocol extends TransactionReport['protocol'] = TransactionReport['protocol']>(): Promise<
    readonly Extract<TransactionReport, { readonly protocol: Protocol }>[]
  > {
    const limit = { timeoutMs: LONGEST_QUESTION_MS };
    try {
      return await this.#ask('long', () => this.#workflow.query('report'), limit);
    } catch (error) {
      if (!(error instanceof TransactionTimeout) && !isWithoutPoller(error)) throw error;
      // To this a Temporal that is away has no answer either.
      const { taskQueue } = await this.#describe();
      throw new NoWorkerAnswers(this.id, taskQueue, LONGEST_QUESTION_MS, { cause: error });
    }
  }

  /** The status of the workflow: RUNNING, COMPLETED, FAILED, … @throws {TransactionNotFound} */
  async status(): Promise<string> {
    return (await this.#describe()).status.name;
  }

  #describe(): Promise<WorkflowExecutionDescription> {
    return this.#ask('short', () => this.#workflow.describe());
  }

  /**
   * Asks the transaction to turn back: a saga is undone unless its pivot is done, the other protocols abort unless they have decided. Await
   * {@link result} to see how it ended.
   *
   * @throws {TransactionNotFound} when Temporal does not know it, or it has ended
   */
  async cancel(): Promise<void> {
    await this.#ask('short', () => this.#workflow.cancel());
  }

  /** Tries a held step again at once. @throws {RulingRefused} when it is not held */
  retryStep(ruling: Ruling): Promise<void> {
    return this.#rule('retryStep', ruling);
  }

  /** Gives a held step up; the effect of a compensation's step stays. @throws {RulingRefused} when it is not held */
  skipStep(ruling: Ruling): Promise<void> {
    return this.#rule('skipStep', ruling);
  }

  /** Says that a held step was settled by other means. @throws {RulingRefused} when it is not held */
  resolve(resolution: Resolution): Promise<void> {
    return this.#rule('resolve', resolution);
  }

  async #rule(name: string, ruling: Ruling): Promise<void> {
    const updateId = randomUUID();
    await this.#ask('long', () => this.#workflow.executeUpdate(name, { args: [ruling], updateId }));
  }
}

function translate(id: string, error: unknown): unknown {
  if (error instanceof WorkflowNotFoundError) return new TransactionNotFound(id);
  if (error instanceof WorkflowUpdateFailedError)
    return new RulingRefused(error.cause?.message ?? error.message, { cause: error });
  return error instanceof WorkflowFailedError ? endOf(id, error.cause, error.message) : error;
}

/** The error of this package for what a transaction has ended with. */
export function endOf(
  id: string,
  cause: Error | undefined,
  otherwise = '',
): TransactionFailed | TransactionInputMismatch {
  if (cause instanceof TerminatedFailure) return new TransactionInterrupted(id, 'terminated', { cause });
  if (cause instanceof TimeoutFailure) return new TransactionInterrupted(id, 'timed out', { cause });
  const message = `Transaction ${id} did not commit. ${cause?.message ?? otherwise}`;
  if (cause instanceof ApplicationFailure && cause.type === FailureType.TransactionCompensated) {
    // Temporal had forgotten the id, the branch logs had not.
    if (isCollision(reportIn(cause))) return new TransactionInputMismatch(id, 'input', { cause });
    return new TransactionCompensated(id, message, reportIn(cause), { cause });
  }
  if (isNotAttempted(cause))
    // Cast: that is what the workflow fails with.
    return new TransactionNotAttempted(id, cause.message, (cause.details ?? []) as Away[], { cause });
  if (cause instanceof ApplicationFailure && cause.type === FailureType.TransactionAborted) {
    if (isCollision(reportIn(cause))) return new TransactionInputMismatch(id, 'input', { cause });
    const report = reportIn(cause);
    const Aborted = isAway(report) ? ParticipantUnavailable : TransactionAborted;
    return new Aborted(id, message, report, { cause });
  }
  if (cause instanceof ApplicationFailure && cause.type === FailureType.TransactionMixed)
    return new TransactionMixed(id, message, reportIn(cause), { cause });
  return new TransactionFailed(id, message, undefined, { cause });
}

function isCollision(report: TransactionReport | undefined): boolean {
  if (report === undefined || !('cause' in report) || !report.cause) return false;
  const { cause } = report;
  return ('reason' in cause ? cause.reason : cause.refusal)?.code === AbortCode.InputMismatch;
}

/** Whether it was a participant that was away, and not a person who took too long. */
function isAway(report: TransactionReport | undefined): boolean {
  if (report === undefined || report.protocol === 'saga' || !('cause' in report)) return false;
  const code = report.cause?.reason.code;
  if (code === AbortCode.CircuitOpen) return true;
  const silent = report.branches.filter(({ vote }) => vote === 'none');
  return (
    code === AbortCode.TimedOut && silent.length > 0 && silent.every(({ participant }) => participant !== undefined)
  );
}

const isEndedMeanwhile = (error: unknown): boolean =>
  error instanceof WorkflowUpdateFailedError &&
  error.cause instanceof ApplicationFailure &&
  error.cause.type === 'AcceptedUpdateCompletedWorkflow';

/** Temporal knows that no worker has asked for work lately; while one just might come back, it waits. */
const isWithoutPoller = (error: unknown): boolean =>
  error instanceof Error && isGrpcServiceError(error.cause) && error.cause.details.startsWith('no poller seen');

// Cast: this package's own workflow code put it there.
const reportIn = (failure: ApplicationFailure): TransactionReport | undefined =>
  failure.details?.[0] as TransactionReport | undefined;

const isNotAttempted = (cause: unknown): cause is ApplicationFailure =>
  cause instanceof ApplicationFailure && cause.type === FailureType.NotAttempted;
