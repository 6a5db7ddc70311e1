/** The errors of the workflow room. */
import { ApplicationFailureCategory } from '@temporalio/common';
import { ApplicationFailure } from '@temporalio/workflow';
import { FailureType } from '../protocol';
import type { Away, SagaReport, SettledCommitReport, TransactionReport } from '../protocol';

/**
 * The saga failed and everything that it did was undone. Its `details` hold the {@link SagaReport}, and the client of this
 * package throws an error of the same name with the same `report`.
 */
export class TransactionCompensated extends ApplicationFailure {
  constructor(readonly report: SagaReport) {
    // Benign: to end like this is what a saga is for. Temporal leaves it out of its own count of failures.
    super(
      `Everything was undone: ${reasonOf(report)}`,
      FailureType.TransactionCompensated,
      true,
      [report],
      undefined,
      undefined,
      ApplicationFailureCategory.BENIGN,
    );
  }
}

/** Nothing took effect. Its `details` hold the {@link SettledCommitReport}, with every vote and its reason. */
export class TransactionAborted extends ApplicationFailure {
  constructor(readonly report: SettledCommitReport) {
    // Benign: to end like this is what atomic commitment is for.
    super(
      `Nothing took effect: ${reasonOf(report)}`,
      FailureType.TransactionAborted,
      true,
      [report],
      undefined,
      undefined,
      ApplicationFailureCategory.BENIGN,
    );
  }
}

/** A participant is known to be away, so nothing was asked of anybody. `details` hold an {@link Away} for each. */
export class TransactionNotAttempted extends ApplicationFailure {
  constructor(readonly away: readonly Away[]) {
    super(
      `Nothing was attempted: ${away.map(({ participant }) => participant).join(', ')} did not answer lately. Start it again, ` +
        `with the same id, in ${Math.ceil(Math.max(...away.map(({ retryAfterMs }) => retryAfterMs)) / 1000)} s.`,
      FailureType.NotAttempted,
      true,
      [...away],
      undefined,
      undefined,
      ApplicationFailureCategory.BENIGN,
    );
  }
}

/** A transaction is written in a way that cannot be kept atomic. It fails the workflow task, so that nothing is lost. */
export class TransactionDefinitionError extends Error {
  override readonly name = 'TransactionDefinitionError';
}

/**
 * The transaction ended with some effects in place and others not. A person has accepted that, or, in a saga, the code after
 * the pivot failed.
 */
export class TransactionMixed extends ApplicationFailure {
  constructor(readonly report: TransactionReport | SettledCommitReport) {
    super(
      `Some effects stay and others do not: ${reasonOf(report)} See the report.`,
      FailureType.TransactionMixed,
      true,
      [report],
    );
  }
}

/**
 * A saga is written in a way that could lose track of an effect. It fails the workflow task, so that nothing is lost: the
 * transaction goes on once the code is mended.
 */
export class SagaDefinitionError extends Error {
  override readonly name = 'SagaDefinitionError';
}

const reasonOf = (report: TransactionReport | SettledCommitReport): string =>
  'cause' in report && report.cause ? report.cause.message : 'no cause was recorded.';
