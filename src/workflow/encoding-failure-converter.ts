/**
 * Temporal's failure converter, except that messages and stack traces are payloads, which a codec encrypts. By itself Temporal leaves
 * them readable for everyone who may look at a history, and messages quote what went wrong with what.
 */
import { DefaultFailureConverter } from '@temporalio/common';

class EncodingFailureConverter extends DefaultFailureConverter {
  /** Tells a bundle of workflows that was made with this converter from one that was not. */
  readonly mark = 'temporal-txn: failures are encoded';
}

export const failureConverter = new EncodingFailureConverter({ encodeCommonAttributes: true });
