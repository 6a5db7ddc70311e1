/** A transaction that was started: wait for it, look at it, and settle what it cannot settle itself. */
import {
  ApplicationFailure,
  TerminatedFailure,
  TimeoutFailure,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { FailureType } from '../protocol';
import type { SagaReport } from '../protocol';
import {
  RulingRefused,
  TransactionCompensated,
  TransactionFailed,
  TransactionInputMismatch,
  TransactionInterrupted,
  TransactionMixed,
  TransactionNotFound,
} from './errors';

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

export class TransactionHandle<R = unknown> {
  readonly #workflow: WorkflowHandle;

  constructor(
    client: Client,
    readonly id: string,
  ) {
    this.#workflow = client.workflow.getHandle(id);
  }

  /**
   * Waits for the transaction and returns its result.
   *
   * @throws {TransactionCompensated} when everything was undone
   * @throws {TransactionInputMismatch} when the id belongs to an earlier transaction with another input, which stands
   * @throws {TransactionMixed} when effects stay that should not
   * @throws {TransactionInterrupted} when the workflow was terminated or timed out
   * @throws {TransactionFailed} when it failed otherwise
   * @throws {TransactionNotFound}
   */
  async result(): Promise<R> {
    try {
      return (await this.#workflow.result()) as R; // Cast: the caller named the workflow and so its result.
    } catch (error) {
      throw translate(this.id, error);
    }
  }

  /**
   * How each transaction of the workflow stands, the outermost first. Asks a worker of the workflow.
   *
   * @throws {TransactionNotFound}
   */
  async reports(): Promise<readonly SagaReport[]> {
    try {
      return await this.#workflow.query<readonly SagaReport[]>('report');
    } catch (error) {
      throw translate(this.id, error);
    }
  }

  /** The status of the workflow: RUNNING, COMPLETED, FAILED, … @throws {TransactionNotFound} */
  async status(): Promise<string> {
    try {
      return (await this.#workflow.describe()).status.name;
    } catch (error) {
      throw translate(this.id, error);
    }
  }

  /** Asks the transaction to turn back: it is undone, unless its pivot is done. Await {@link result} to see how it ended. */
  async cancel(): Promise<void> {
    try {
      await this.#workflow.cancel();
    } catch (error) {
      throw translate(this.id, error);
    }
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
    try {
      await this.#workflow.executeUpdate(name, { args: [ruling] });
    } catch (error) {
      throw translate(this.id, error);
    }
  }
}

function translate(id: string, error: unknown): unknown {
  if (error instanceof WorkflowNotFoundError) return new TransactionNotFound(id);
  if (error instanceof WorkflowUpdateFailedError)
    return new RulingRefused(error.cause?.message ?? error.message, { cause: error });
  if (!(error instanceof WorkflowFailedError)) return error;
  const { cause } = error;
  if (cause instanceof TerminatedFailure) return new TransactionInterrupted(id, 'terminated', { cause });
  if (cause instanceof TimeoutFailure) return new TransactionInterrupted(id, 'timed out', { cause });
  const message = `Transaction ${id} did not commit. ${cause?.message ?? error.message}`;
  if (cause instanceof ApplicationFailure && cause.type === FailureType.TransactionCompensated) {
    // Temporal had forgotten the id, the branch logs had not.
    if (isCollision(reportIn(cause))) return new TransactionInputMismatch(id, 'input', { cause });
    return new TransactionCompensated(id, message, reportIn(cause), { cause });
  }
  if (cause instanceof ApplicationFailure && cause.type === FailureType.TransactionMixed)
    return new TransactionMixed(id, message, reportIn(cause), { cause });
  return new TransactionFailed(id, message, undefined, { cause });
}

const isCollision = (report: SagaReport | undefined): boolean =>
  report !== undefined && 'cause' in report && report.cause?.refusal?.code === 'input-mismatch';

// Cast: this package's own workflow code put it there.
const reportIn = (failure: ApplicationFailure): SagaReport | undefined =>
  failure.details?.[0] as SagaReport | undefined;
