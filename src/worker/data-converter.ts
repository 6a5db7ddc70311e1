/**
 * What a worker of this package reads and writes payloads with: what the deployment encrypts with, made tolerant of what nobody can
 * ever read. Workers that encrypt encode the messages of failures too.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import { Runtime } from '@temporalio/worker';
import type { TransactionDataConverter } from '../client';
import { EncryptionKeyMissing, UndecodablePayload } from '../encryption';
import { METRICS } from '../observability';
import { converterPaths } from './workflow-bundle';

/**
 * The data converter of a worker.
 *
 * @param stopping whether the worker is about to stop
 */
export function workerDataConverter(dataConverter: TransactionDataConverter, stopping: () => boolean): DataConverter {
  const { payloadCodecs = [] } = dataConverter;
  return {
    ...converterPaths(dataConverter),
    payloadCodecs: payloadCodecs.map((codec) => tolerant(codec, stopping)),
  };
}

/**
 * A payload that can never be read becomes one that is found out where it is used: a signal like that is dropped. One whose key is
 * missing is another matter: to drop it would be to forget what counts once the key is back, so it fails the task, which is tried again.
 */
const tolerant = (codec: PayloadCodec, stopping: () => boolean): PayloadCodec => ({
  encode: (payloads, context) => insist(() => codec.encode(payloads, context), stopping),
  decode: async (payloads, context) => {
    const decodeOne = async (payload: Payload): Promise<Payload[]> => {
      try {
        return await codec.decode([payload], context);
      } catch (error) {
        if (!(error instanceof UndecodablePayload)) throw error;
        count('undecodable');
        return [{ metadata: { encoding: Buffer.from('binary/undecodable') }, data: Buffer.from(error.message) }];
      }
    };
    try {
      return await codec.decode(payloads, context);
    } catch (error) {
      if (error instanceof UndecodablePayload) return (await Promise.all(payloads.map(decodeOne))).flat();
      count(error instanceof EncryptionKeyMissing ? 'missing-key' : 'failed');
      // The type stays readable where the message is encrypted, with a key that whoever looks may not have.
      throw error instanceof EncryptionKeyMissing ? ApplicationFailure.fromError(error) : error;
    }
  },
});

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;

/**
 * What cannot be encoded cannot be told to Temporal as a failure either, which would have to be encoded too: the SDK ends the worker
 * then. The task waits instead, and when its time is up it is tried again.
 */
async function insist<T>(encode: () => Promise<T>, stopping: () => boolean): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await encode();
    } catch (error) {
      if (stopping()) throw error;
      count('failed');
      Runtime.instance().logger.warn('A payload could not be encoded, and is tried again', {
        error: error instanceof Error ? error.name : 'something',
      });
    }
    await sleep(pauseMs);
  }
}

const count = (reason: 'undecodable' | 'missing-key' | 'failed'): void =>
  Runtime.instance().metricMeter.createCounter(METRICS.payloadsUnreadable).add(1, { reason });
