/**
 * What a worker of this package reads and writes payloads with: what the deployment encrypts with, made tolerant of what nobody can
 * ever read. Workers that encrypt encode the messages of failures too.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import { Runtime } from '@temporalio/worker';
import type { WorkerOptions } from '@temporalio/worker';
import type { TransactionDataConverter } from '../client';
import { EncryptionKeyMissing, UndecodablePayload } from '../encryption';
import { METRICS } from '../observability';

/**
 * What makes payloads of the messages of failures. For bundles of workflows whose workers encrypt.
 *
 * @example await bundleWorkflowCode({ workflowsPath, preloadModules: workflowModules(), failureConverterPath: encodingFailureConverterPath() });
 */
export const encodingFailureConverterPath = (): string => require.resolve('../workflow/encoding-failure-converter');

/** A bundle of workflows was made without what keeps messages of failures from being readable. */
export class FailuresNotEncoded extends Error {
  override readonly name = 'FailuresNotEncoded';

  constructor() {
    super(
      'Nothing was started: payloads are encrypted, and the bundle of workflows was made without a failure converter, so messages of ' +
        'failures would stay readable in histories. Make it with failureConverterPath: encodingFailureConverterPath() (of ' +
        'temporal-txn/worker), or give workflowsPath instead of workflowBundle.',
    );
  }
}

/**
 * The data converter of a worker.
 *
 * @param stopping whether the worker is about to stop
 */
export function workerDataConverter(
  { payloadCodecs = [], failureConverterPath }: TransactionDataConverter,
  stopping: () => boolean,
): DataConverter {
  const failures = failureConverterPath ?? (payloadCodecs.length > 0 ? encodingFailureConverterPath() : undefined);
  return {
    // One signal that cannot be decoded would otherwise fail every workflow task of its workflow.
    payloadConverterPath: require.resolve('../workflow/tolerant-payload-converter'),
    payloadCodecs: payloadCodecs.map((codec) => tolerant(codec, stopping)),
    ...(failures === undefined ? {} : { failureConverterPath: failures }),
  };
}

const MARK = 'temporal-txn: failures are encoded';

/** @throws {FailuresNotEncoded} */
export function checkBundle(
  workflows: Pick<WorkerOptions, 'workflowsPath' | 'workflowBundle'>,
  { failureConverterPath }: DataConverter,
): void {
  const { workflowBundle: bundle } = workflows;
  if (bundle === undefined || failureConverterPath !== encodingFailureConverterPath()) return;
  const code = 'codePath' in bundle ? readFileSync(bundle.codePath, 'utf8') : bundle.code;
  if (!code.includes(MARK)) throw new FailuresNotEncoded();
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
