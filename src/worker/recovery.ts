/** The recovery workflow of a participant: its code for the worker, and its start. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WorkflowIdReusePolicy } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { bundleWorkflowCode, Runtime } from '@temporalio/worker';
import type { WorkerOptions, WorkflowBundleWithSourceMap } from '@temporalio/worker';
import type { TemporalPlugin } from '../client';
import { LONGEST_TIMEOUT_MS, show } from '../protocol';
import { workflowBundleOptions } from './workflow-bundle';

/** How patient recovery is, in milliseconds. */
export interface RecoverySettings {
  /** How long a prepared branch is left to its coordinator. @default TXN_RECOVERY_GRACE_MS, or 30000 */
  readonly graceMs?: number;
  /** From when on a branch without a decision is aborted although its coordinator seems to run. @default one hour */
  readonly hardLimitMs?: number;
  /** Pause between two looks at the database. @default TXN_RECOVERY_EVERY_MS, or 5000 */
  readonly everyMs?: number;
}

/** Made by the build, because bundling costs every worker seconds of start; see scripts/build.mjs. */
const BUNDLE = join(__dirname, 'participant-workflows.bundle.js');

type Bundle = Required<Pick<WorkerOptions, 'workflowBundle'>>;

interface Making {
  readonly plugins: readonly TemporalPlugin[];
  readonly failureConverterPath: string | undefined;
  readonly bundle: Promise<WorkflowBundleWithSourceMap>;
}

/** For all workers of a process. */
const makings: Making[] = [];

/**
 * The code: made before if it was made with the same SDK and nothing is put into it, and else bundled when the first worker of this process
 * starts that needs it.
 */
export async function recoveryBundle(
  dataConverter: DataConverter,
  plugins: readonly TemporalPlugin[] = [],
): Promise<Bundle> {
  const { failureConverterPath } = dataConverter;
  const isPlain = failureConverterPath === undefined && plugins.length === 0;
  if (isPlain && existsSync(BUNDLE) && builtWith() === installed()) return { workflowBundle: { codePath: BUNDLE } };
  const isWanted = (one: Making): boolean =>
    one.failureConverterPath === failureConverterPath &&
    one.plugins.length === plugins.length &&
    one.plugins.every((plugin, i) => plugin === plugins[i]);
  const making =
    makings.find(isWanted) ??
    begun({
      plugins,
      failureConverterPath,
      bundle: bundleWorkflowCode({
        workflowsPath: require.resolve('./participant-workflows'),
        plugins: [...plugins],
        logger: Runtime.instance().logger,
        ...workflowBundleOptions(dataConverter),
      }),
    });
  return { workflowBundle: await making.bundle };
}

function begun(making: Making): Making {
  makings.push(making);
  // Whoever comes after a failure tries anew.
  making.bundle.catch(() => makings.splice(makings.indexOf(making), 1));
  return making;
}

const builtWith = (): string => readFileSync(`${BUNDLE}.version`, 'utf8').trim();

function installed(): string {
  const manifest = readFileSync(require.resolve('@temporalio/workflow/package.json'), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version; // Cast: every package has a version.
}

/** Starts the recovery of a participant, or has the one that runs look at once: any number of workers do so. */
export async function startRecovery(
  client: Client,
  { participant, ...settings }: RecoverySettings & { readonly participant: string },
): Promise<void> {
  const options = { participant, ...settings };
  await client.workflow.signalWithStart('recoverParticipant', {
    signal: 'look',
    signalArgs: [options],
    workflowId: `recovery:${participant}`,
    taskQueue: participant,
    args: [options],
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
    staticSummary: `Finishes what is prepared at ${participant} and nobody finishes`,
    // No run or execution timeout: it runs as long as there is a participant.
  });
}

/** @throws {RangeError} when one of them is no whole number of milliseconds above zero, or longer than 30 days; nothing was started */
export function recoverySettings(given: RecoverySettings = {}): RecoverySettings {
  const { TXN_RECOVERY_GRACE_MS: graceMs, TXN_RECOVERY_EVERY_MS: everyMs } = process.env;
  for (const name of ['graceMs', 'hardLimitMs', 'everyMs'] as const)
    if (given[name] !== undefined) wholeMs(`recovery.${name}`, given[name]);
  return {
    ...(graceMs ? { graceMs: wholeMs('TXN_RECOVERY_GRACE_MS', Number(graceMs)) } : {}),
    ...(everyMs ? { everyMs: wholeMs('TXN_RECOVERY_EVERY_MS', Number(everyMs)) } : {}),
    ...given,
  };
}

function wholeMs(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0 && value <= LONGEST_TIMEOUT_MS) return value;
  throw new RangeError(
    `Nothing was started: ${name} is ${show(value)}, not a whole number of milliseconds above zero and of 30 days at most.`,
  );
}
