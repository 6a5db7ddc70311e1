/**
 * What a worker of this package reads and writes payloads with: what the deployment encrypts with, made tolerant of what nobody can
 * ever read. Workers that encrypt encode the messages of failures too.
 */
import { ApplicationFailure } from '@temporalio/common';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import { Runtime } from '@temporalio/worker';
import type { TransactionDataConverter } from '../client';
import { EncryptionKeyMissing, UndecodablePayload } from '../encryption';
import { METRICS } from '../observability';
import { encodeInsistently } from './insistent-encoding';
import type { Insistence } from './insistent-encoding';
import { converterPaths, encodingFailureConverterPath } from './workflow-bundle';

/**
 * The data converter of a worker.
 *
 * @param stopping whether the worker is about to stop
 */
export function workerDataConverter(dataConverter: TransactionDataConverter, stopping: () => boolean): DataConverter {
  const { payloadCodecs = [] } = dataConverter;
  const paths = converterPaths(dataConverter);
  const insistence: Insistence = {
    stopping,
    failed: () => count('failed'),
    // Another failure converter leaves no mark on what it makes.
    ...(paths.failureConverterPath === encodingFailureConverterPath() ? { isOfFailure } : {}),
  };
  return {
    ...paths,
    payloadCodecs: payloadCodecs.length === 0 ? [] : [tolerant(inOne(payloadCodecs), insistence)],
  };
}

/** As {@link encodingFailureConverterPath} marks the payloads that it makes. */
const OF_FAILURE = Symbol.for('temporal-txn: of a failure');

const isOfFailure = (payload: Payload): boolean => OF_FAILURE in payload;

/** Codecs as Temporal applies them. */
const inOne = (codecs: readonly PayloadCodec[]): PayloadCodec => ({
  encode: (payloads, context) =>
    codecs.reduce(async (encoded, codec) => codec.encode(await encoded, context), Promise.resolve(payloads)),
  decode: (payloads, context) =>
    codecs.reduceRight(async (decoded, codec) => codec.decode(await decoded, context), Promise.resolve(payloads)),
});

/**
 * A payload that can never be read becomes one that is found out where it is used: a signal like that is dropped. One whose key is
 * missing is another matter: to drop it would be to forget what counts once the key is back, so it fails the task, which is tried again.
 */
const tolerant = (codec: PayloadCodec, insistence: Insistence): PayloadCodec => ({
  encode: (payloads, context) => encodeInsistently(() => codec.encode(payloads, context), payloads, insistence),
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

const count = (reason: 'undecodable' | 'missing-key' | 'failed'): void =>
  Runtime.instance().metricMeter.createCounter(METRICS.payloadsUnreadable).add(1, { reason });
