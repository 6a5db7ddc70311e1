/** Starts the processes of the contestants. */
import { freePort } from '../../src/testing';
import { DECISION } from '../direct/two-phase-commit';
import { HANDLED } from '../hand-written/activities';
import type { Stage } from '../stage';
import { BANKS } from '../transfer';
import { contestantOf, PROCESSES, WORKFLOW_WORKERS } from './contestants';
import type { ProcessName, Way } from './contestants';
import type { NodeRelease } from './peers';
import { startRestate } from './restate';

/** What DBOS keeps its workflows in. */
export const SYSTEM_DATABASE = 'dbos_system';

/** As docs/groups.md advises for workers of workflows: half of what one that runs for many takes is to note where each promise was made. */
export const SHORT_STACKS = { NODE_OPTIONS: '--stack-trace-limit=1' };

export const COLLECTOR = require.resolve('./collector');

/** @returns where the callers of each contestant listen */
export async function startCast(stage: Stage, ways: readonly Way[], node: NodeRelease): Promise<(way: Way) => string> {
  for (const bank of BANKS) await stage.pool(bank).query(HANDLED);
  await stage.pool('north-bank').query(DECISION);
  const names = new Set(ways.flatMap((way) => contestantOf(way).processes));
  const restate = names.has('restate service') ? await startRestate(stage.directory) : undefined;
  if (restate) stage.stopToo(restate.stop);
  const servicePort = await freePort();
  const env = {
    NORTH_DATABASE_URL: stage.databaseUrl('north-bank'),
    SOUTH_DATABASE_URL: stage.databaseUrl('south-bank'),
    SYSTEM_DATABASE_URL: stage.ownerUrl(SYSTEM_DATABASE),
    INGRESS_URL: restate?.ingressUrl ?? '',
    SERVICE_PORT: String(servicePort),
  };
  const started = await Promise.all(
    [...names].map(async (name) => {
      const own = { ...env, ...bankOf(stage, name), ...(WORKFLOW_WORKERS.includes(name) ? SHORT_STACKS : {}) };
      const options = { preload: [COLLECTOR], node: node.path };
      return [name, await stage.startProcess(name, scriptOf(name), own, options)] as const;
    }),
  );
  await restate?.register(`http://127.0.0.1:${servicePort}`);
  const urls = new Map<ProcessName, string>(started.map(([name, { healthUrl }]) => [name, healthUrl]));
  return (way) => urls.get(contestantOf(way).callers) ?? '';
}

/** What is not compiled lies in the sources. */
function scriptOf(name: ProcessName): string {
  const script = PROCESSES[name];
  return script.endsWith('.mjs') ? `../../bench/${script}` : script;
}

/** What a process has to know that is beside one bank. */
function bankOf(stage: Stage, name: ProcessName): Record<string, string> {
  const bank = BANKS.find((bank) => name.endsWith(bank));
  return bank ? { SERVICE_NAME: bank, DATABASE_URL: stage.databaseUrl(bank) } : {};
}
