/**
 * What a bundle of workflows holds beside the workflows. The SDK puts it in where the bundle is made, and once a worker runs it nobody
 * misses what is not there. So there is one helper for whoever makes one, and a look into each that is given to a worker.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DataConverter } from '@temporalio/common';
import type { BundleOptions, WorkerOptions } from '@temporalio/worker';
import { InvalidDataConverter } from '../client';
import type { TransactionDataConverter } from '../client';
import { show } from '../protocol';

type ConverterPaths = Pick<DataConverter, 'failureConverterPath'> &
  Required<Pick<DataConverter, 'payloadConverterPath'>>;

/**
 * What makes payloads of the messages of failures. For bundles of workflows whose workers encrypt, that are made where there are no keys.
 *
 * @example workflowBundleOptions({ failureConverterPath: encodingFailureConverterPath() });
 */
export const encodingFailureConverterPath = (): string => inWorkflowRoom('encoding-failure-converter');

// Without an extension, so that the bundler finds it among the sources too, where a test runner has loaded this file.
const inWorkflowRoom = (module: string): string => join(__dirname, '../workflow', module);

/** What keeps a workflow from ending before its transactions have. */
const workflowInterceptorModules = [inWorkflowRoom('workflow-interceptors')];

/** The converters of a worker, which are those of the bundle that it runs. */
export function converterPaths({ payloadCodecs = [], failureConverterPath }: TransactionDataConverter): ConverterPaths {
  const failures = failureConverterPath ?? (payloadCodecs.length > 0 ? encodingFailureConverterPath() : undefined);
  return {
    // One signal that cannot be decoded would otherwise fail every workflow task of its workflow.
    payloadConverterPath: inWorkflowRoom('tolerant-payload-converter'),
    ...(failures === undefined ? {} : { failureConverterPath: failures }),
  };
}

/**
 * What a bundle of workflows needs, for one that you make yourself; `runCoordinator` does so where it is given `workflowsPath`. Beside the
 * converters and interceptors these are the modules that a worker loads once for all workflows of a thread: each workflow would otherwise load a copy of
 * its own of all of them, and keep it as long as it waits.
 *
 * @param dataConverter of the workers that run it
 * @example await bundleWorkflowCode({ workflowsPath, ...workflowBundleOptions() });
 */
export const workflowBundleOptions = (
  dataConverter: TransactionDataConverter = {},
): ConverterPaths & Required<Pick<BundleOptions, 'preloadModules' | 'workflowInterceptorModules'>> => ({
  preloadModules: [require.resolve('temporal-txn/workflow'), ...workflowInterceptorModules],
  // Interceptors of your own go into one list with this one.
  workflowInterceptorModules,
  ...converterPaths(dataConverter),
});

const WITHOUT = {
  payloadConverter:
    'the payload converter of this package, so one signal that cannot be read would stop its workflow for good, with the locks of its ' +
    'branches held',
  failureConverter: 'the failure converter of this worker, so messages of failures would stay readable in histories',
  interceptors:
    'the interceptors of this package, so a workflow could end before its transactions have, and leave them half done',
} as const;

/** A bundle of workflows was made without what its worker counts on. */
export class InvalidWorkflowBundle extends Error {
  override readonly name = 'InvalidWorkflowBundle';

  constructor(
    /** What it was made without. */
    readonly without: keyof typeof WITHOUT,
  ) {
    super(
      `Nothing was started: the bundle of workflows was made without ${WITHOUT[without]}. Make it anew with ` +
        '...workflowBundleOptions() of temporal-txn/worker among the options of bundleWorkflowCode, and where payloads are encrypted with ' +
        '...workflowBundleOptions(dataConverter); or give workflowsPath instead of workflowBundle.',
    );
  }
}

/** @throws {InvalidWorkflowBundle} {InvalidDataConverter} */
export function checkBundle(
  { workflowBundle: bundle }: Pick<WorkerOptions, 'workflowsPath' | 'workflowBundle'>,
  { payloadConverterPath, failureConverterPath }: DataConverter,
): void {
  if (bundle === undefined) return;
  const code = 'codePath' in bundle ? readFileSync(bundle.codePath, 'utf8') : bundle.code;
  const check = (what: keyof typeof WITHOUT, path: string | undefined): void => {
    if (path !== undefined && !code.includes(markOf(what, path))) throw new InvalidWorkflowBundle(what);
  };
  check('payloadConverter', payloadConverterPath);
  check('failureConverter', failureConverterPath);
  for (const path of workflowInterceptorModules) check('interceptors', path);
}

/** What is written in quotes as it is. */
const MARK = /^[\w .:/-]{8,100}$/;

/** The text by which a converter is found in a bundle: what it was called is not in there. */
function markOf(what: keyof typeof WITHOUT, path: string): string {
  const { mark } = load(path)?.[what] ?? {};
  if (typeof mark === 'string' && MARK.test(mark)) return mark;
  throw new InvalidDataConverter(
    `The module ${show(path)} has no ${what} with a mark, so nothing tells whether the bundle of workflows was made with it`,
    `Give its ${what} a property mark, 8 to 100 letters, digits, spaces or _ . : / - that are nowhere else, and make the bundle anew; ` +
      'or give workflowsPath instead of workflowBundle.',
  );
}

type Exported = { readonly [name: string]: { readonly mark?: unknown } | undefined } | undefined;

function load(path: string): Exported {
  try {
    // As the SDK does in the process of the worker, and before anything is connected to.
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    return require(path) as Exported; // Cast: whatever it is, it is only asked for a field.
  } catch (error) {
    const what = error instanceof Error ? error.name : 'something';
    throw new InvalidDataConverter(
      `The module ${show(path)} cannot be loaded (${what})`,
      'Give the absolute path of a compiled module as failureConverterPath.',
    );
  }
}
