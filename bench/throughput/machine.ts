/** When, where and with what a run was made. */
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import type { Stage } from '../stage';

export interface Taken {
  readonly on: string;
  readonly machine: string;
  readonly processors: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** How busy others kept the machine before the run: processes that ran or wanted to, in the minute before. */
  readonly load: number;
  readonly node: string;
  readonly postgres: string;
  readonly temporal: string;
  readonly temporalSdk: string;
}

/**
 * @param before how busy the machine was, as {@link loadNow} gave it before anything was started
 * @param before.node the version that the processes have that are measured
 */
export async function describeRun(
  { pool, client }: Stage,
  { load, node }: Pick<Taken, 'load' | 'node'>,
): Promise<Taken> {
  const [processor] = cpus();
  const { rows } = await pool('north-bank').query<{ server_version: string }>('show server_version');
  const { serverVersion } = await client.workflowService.getSystemInfo({});
  return {
    on: new Date().toISOString().slice(0, 10),
    machine: processor?.model.trim() ?? 'unknown',
    processors: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    load,
    node,
    postgres: rows[0]?.server_version ?? 'unknown',
    temporal: serverVersion ?? 'unknown',
    temporalSdk: sdkVersion(),
  };
}

export const loadNow = (): number => loadavg()[0] ?? Number.NaN;

function sdkVersion(): string {
  const { version } = JSON.parse(readFileSync(require.resolve('@temporalio/client/package.json'), 'utf8')) as {
    version: string;
  };
  return version;
}
