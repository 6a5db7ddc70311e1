/** Starts the environment for the compiled workflows of a test directory, without a line of log for each worker. */
import { dirname, join } from 'node:path';
import { IllegalStateError } from '@temporalio/common';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { TransactionTestEnvironment } from '../../src/testing';
import type { Activities } from '../../src/testing';
import { bundleWorkflows } from '../bundle';

/** The same from the sources and from dist/. */
export const packageRoot = dirname(require.resolve('temporal-txn/package.json'));

/** The compiled workflows of a test directory: Temporal bundles from dist/. */
export const compiledWorkflows = (directory: string): string =>
  join(packageRoot, 'dist/test', directory, 'workflows.js');

/** Keeps the worker's log to what is a bug of the worker: sagas under test fail by design. To be called before anything starts. */
export function quiet(): Runtime {
  try {
    return Runtime.install({ logger: new DefaultLogger('ERROR') });
  } catch (error) {
    // A file before this one in the same process has left the same.
    if (!(error instanceof IllegalStateError)) throw error;
    return Runtime.instance();
  }
}

export async function startEnvironment(
  directory: string,
  participants: Readonly<Record<string, Activities>>,
): Promise<TransactionTestEnvironment> {
  quiet();
  return TransactionTestEnvironment.start({
    workflows: await bundleWorkflows(compiledWorkflows(directory)),
    participants,
  });
}
