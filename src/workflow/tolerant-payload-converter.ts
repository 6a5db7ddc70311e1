/**
 * Temporal's payload converter, except that a payload which cannot be read becomes a value that throws when it is looked at.
 *
 * With the default one, a single signal that nobody can decode fails every workflow task of a coordinator for ever (measured),
 * and with it the locks of its branches. Here the signal handler finds out and drops it; anyone else who uses such a value
 * fails as before.
 */
import { defaultPayloadConverter } from '@temporalio/common';
import type { Payload, PayloadConverter } from '@temporalio/common';
import { undecodable } from './undecodable';

/** Tells a bundle of workflows that was made with this converter: so nothing else in a bundle may import this module. */
const mark = 'temporal-txn: what cannot be read is tolerated';

export const payloadConverter: PayloadConverter & { readonly mark: string } = {
  mark,
  toPayload: (value) => defaultPayloadConverter.toPayload(value),
  fromPayload<T>(payload: Payload, ...more: readonly unknown[]): T {
    try {
      return defaultPayloadConverter.fromPayload<T>(payload);
    } catch (error) {
      // What the SDK reads for itself comes without a place for a hint: memos and messages of failures. They travel between threads,
      // where such a value cannot go; and a transaction whose memo cannot be read must not begin.
      if (more.length < 2) throw error;
      return undecodable(error) as T; // Cast: whatever it was meant to be, it cannot be used as that.
    }
  },
};
