/** The errors of the workflow room. */
import { ApplicationFailureCategory } from '@temporalio/common';
import { ApplicationFailure } from '@temporalio/workflow';
import { FailureType } from '../protocol';
import type { SagaReport } from '../protocol';

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

/** The saga ended with some effects in place and others not. A person has accepted that, or the code after the pivot failed. */
export class TransactionMixed extends ApplicationFailure {
  constructor(readonly report: SagaReport) {
    super(
      `Some effects stay and others do not: ${reasonOf(report)} See the steps of the report.`,
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

const reasonOf = (report: SagaReport): string =>
  'cause' in report && report.cause ? report.cause.message : 'no cause was recorded.';
