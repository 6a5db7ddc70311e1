/**
 * Answers of Temporal that cannot be read here. A codec is below whoever knows what its failure means: that the transaction may have
 * committed all the same.
 */
import { ValueError } from '@temporalio/common';
import type { PayloadCodec } from '@temporalio/common';
import { EncryptionKeyMissing, UndecodablePayload } from '../encryption';
import type { TransactionDataConverter } from './data-converter';

class NotDecoded extends Error {
  constructor(override readonly cause: unknown) {
    super('A payload could not be decoded.', { cause });
  }
}

/** Has failures of codecs to decode, whatever they throw, be told from answers. */
export function tellingUnreadable({ payloadCodecs, ...converter }: TransactionDataConverter): TransactionDataConverter {
  const telling = (codec: PayloadCodec): PayloadCodec => ({
    encode: (payloads, context) => codec.encode(payloads, context),
    decode: async (payloads, context) => {
      try {
        return await codec.decode(payloads, context);
      } catch (error) {
        throw new NotDecoded(error);
      }
    },
  });
  return { ...converter, ...(payloadCodecs === undefined ? {} : { payloadCodecs: payloadCodecs.map(telling) }) };
}

/** What kept an answer from being read, if it was that. Clients that somebody else has made throw what their codecs throw. */
export function unreadable(error: unknown): { readonly cause: unknown } | undefined {
  if (error instanceof NotDecoded) return { cause: error.cause };
  const isOfReading =
    error instanceof EncryptionKeyMissing ||
    error instanceof UndecodablePayload ||
    // Nobody has decrypted it, and no converter knows what it is.
    (error instanceof ValueError && /^(Unknown encoding|Missing payload metadata)/.test(error.message));
  return isOfReading ? { cause: error } : undefined;
}
