/**
 * Answers of Temporal that cannot be read here. A codec is below whoever knows what its failure means: that the transaction may have
 * committed all the same.
 */
import { WorkflowClient } from '@temporalio/client';
import type { Client } from '@temporalio/client';
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

const NULL = { metadata: { encoding: Buffer.from('binary/null') } };

/** For questions whose answer is in no payload: one of somebody else's that cannot be read here is no reason not to have it. */
export const withoutPayloads = ({ connection, options: { namespace } }: Client): WorkflowClient =>
  new WorkflowClient({
    connection,
    namespace,
    dataConverter: {
      payloadCodecs: [{ encode: async (payloads) => payloads, decode: async (payloads) => payloads.map(() => NULL) }],
    },
  });
