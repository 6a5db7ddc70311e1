/**
 * What a worker of this package reads and writes payloads with: what the deployment encrypts with, made tolerant of what nobody can
 * ever read. Workers that encrypt encode the messages of failures too.
 */
import { readFileSync } from 'node:fs';
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
 * @example await bundleWorkflowCode({ workflowsPath, failureConverterPath: encodingFailureConverterPath() });
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

/** The data converter of a worker. */
export function workerDataConverter({
  payloadCodecs = [],
  failureConverterPath,
}: TransactionDataConverter): DataConverter {
  const failures = failureConverterPath ?? (payloadCodecs.length > 0 ? encodingFailureConverterPath() : undefined);
  return {
    // One signal that cannot be decoded would otherwise fail every workflow task of its workflow.
    payloadConverterPath: require.resolve('../workflow/tolerant-payload-converter'),
    payloadCodecs: payloadCodecs.map(tolerant),
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
const tolerant = (codec: PayloadCodec): PayloadCodec => ({
  encode: (payloads, context) => codec.encode(payloads, context),
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
