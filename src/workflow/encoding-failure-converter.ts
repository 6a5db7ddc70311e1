/**
 * Temporal's failure converter, except that messages and stack traces are payloads, which a codec encrypts. By itself Temporal leaves
 * them readable for everyone who may look at a history, and messages quote what went wrong with what.
 */
import { DefaultFailureConverter } from '@temporalio/common';
import type { Payload, ProtoFailure } from '@temporalio/common';

/** On each payload of a failure, so that a worker knows one when its codec refuses it. It is not sent. */
const OF_FAILURE = Symbol.for('temporal-txn: of a failure');

class EncodingFailureConverter extends DefaultFailureConverter {
  /** Tells a bundle of workflows that was made with this converter from one that was not. */
  readonly mark = 'temporal-txn: failures are encoded';

  override errorToFailure(...given: Parameters<DefaultFailureConverter['errorToFailure']>): ProtoFailure {
    const failure = super.errorToFailure(...given);
    for (const payload of payloadsOf(failure)) Object.defineProperty(payload, OF_FAILURE, { value: true });
    return failure;
  }
}

const payloadsOf = (failure: ProtoFailure): readonly Payload[] => [
  ...(failure.encodedAttributes ? [failure.encodedAttributes] : []),
  ...(failure.applicationFailureInfo?.details?.payloads ?? []),
  ...(failure.canceledFailureInfo?.details?.payloads ?? []),
  ...(failure.timeoutFailureInfo?.lastHeartbeatDetails?.payloads ?? []),
  ...(failure.resetWorkflowFailureInfo?.lastHeartbeatDetails?.payloads ?? []),
  ...(failure.cause ? payloadsOf(failure.cause) : []),
];

export const failureConverter = new EncodingFailureConverter({ encodeCommonAttributes: true });
