/**
 * Temporal's payload converter, except that a payload which cannot be read becomes a value that throws when it is looked at.
 *
 * With the default one, a single signal that nobody can decode fails every workflow task of a coordinator for ever (measured),
 * and with it the locks of its branches. Here the signal handler finds out and drops it; anyone else who uses such a value
 * fails as before.
 */
import { defaultPayloadConverter } from '@temporalio/common';
import type { Payload, PayloadConverter } from '@temporalio/common';

class Undecodable extends Error {
  override readonly name = 'Undecodable';
}

/** By its name: the converter may be in the bundle a second time. */
export const isUndecodable = (error: unknown): error is Error => error instanceof Error && error.name === 'Undecodable';

function undecodable(cause: unknown): object {
  const why = cause instanceof Error ? cause.message : String(cause);
  const refuse = (): never => {
    throw new Undecodable(`The payload cannot be read: ${why}`);
  };
  return new Proxy({}, { get: refuse, has: refuse, ownKeys: refuse, getOwnPropertyDescriptor: refuse });
}

export const payloadConverter: PayloadConverter = {
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
