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

function undecodable(cause: unknown): object {
  const why = cause instanceof Error ? cause.message : String(cause);
  const refuse = (): never => {
    throw new Undecodable(`The payload cannot be read: ${why}`);
  };
  return new Proxy({}, { get: refuse, has: refuse, ownKeys: refuse, getOwnPropertyDescriptor: refuse });
}

export const payloadConverter: PayloadConverter = {
  toPayload: (value) => defaultPayloadConverter.toPayload(value),
  fromPayload<T>(payload: Payload): T {
    try {
      return defaultPayloadConverter.fromPayload<T>(payload);
    } catch (error) {
      return undecodable(error) as T; // Cast: whatever it was meant to be, it cannot be used as that.
    }
  },
};
