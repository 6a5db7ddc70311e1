/**
 * Records the histories that replay.test.ts replays: `node dist/test/replay/record.js`, after a build. Record anew only when a
 * change that old histories cannot follow is meant and versioned; the diff of the histories then shows what it costs.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import type { TransactionHandle } from '../../src/client';
import { packageRoot, startRealTimeEnvironment } from '../saga-more/environment';
import type { RealTimeEnvironment } from '../saga-more/environment';
import { gate, ScriptedWorld } from '../saga-more/scripted';
import { CASES } from './cases';
import type { RecordedCase } from './cases';

const directory = join(packageRoot, 'test/replay/histories');

const OPERATIONS = {
  'north-bank': ['debit', 'credit'],
  'south-bank': ['debit', 'credit'],
  audit: ['record'],
  inventory: ['reserve', 'commitReservation'],
  payments: ['charge'],
  orders: ['create', 'setStatus'],
  shipping: ['createShipment'],
  notifications: ['sendConfirmation', 'sendCancellation'],
  svc: ['first', 'second', 'third'],
};

async function main(): Promise<void> {
  const world = new ScriptedWorld();
  const participants = Object.entries(OPERATIONS).map(([name, of]) => [name, world.participant(of)] as const);
  const env = await startRealTimeEnvironment('replay', Object.fromEntries(participants));
  try {
    await mkdir(directory, { recursive: true });
    for (const old of await readdir(directory)) await rm(join(directory, old));
    for (const one of CASES) {
      await play(env, world, one);
      const history = await env.client.workflow.getHandle(one.name).fetchHistory();
      await writeFile(join(directory, `${one.name}.json`), withoutTraces(historyToJSON(history)));
      console.log(`${one.name}: ${history.events?.length ?? 0} events`);
    }
  } finally {
    await env.stop();
  }
}

async function play(env: RealTimeEnvironment, world: ScriptedWorld, one: RecordedCase): Promise<void> {
  const { name, workflow, input, scripts, then } = one;
  for (const [where, script] of Object.entries(scripts)) {
    const [branch = '', inside] = where.split('@');
    world.script(inside === undefined ? name : `${name}/${inside}`, branch, script);
  }
  const { script, entered, release } = gate();
  if (then?.kind === 'cancel') world.script(name, then.branch, { execute: script });
  const handle = await env.transactions.start(workflow, { id: name, input });
  if (then?.kind === 'cancel') {
    await entered;
    await handle.cancel();
    release();
  }
  if (then?.kind === 'retry') {
    while (!(await isHeld(handle))) await pause(20);
    await handle.retryStep({ step: then.branch, reason: 'recorded', by: 'kim' });
  }
  await handle.result().catch(() => undefined); // How it ends is in the history.
}

const isHeld = async (handle: TransactionHandle): Promise<boolean> =>
  (await handle.reports()).some(({ outcome }) => outcome === 'held');

/** Nothing of the machine that records: no host, no process, no path. */
function withoutTraces(json: string): string {
  const clean: unknown = JSON.parse(json, (field, value: unknown) => {
    if (field === 'stackTrace') return '';
    if (field === 'identity') return 'recorder';
    return typeof value === 'string' ? value.replaceAll(`${process.pid}@${hostname()}`, 'recorder') : value;
  });
  return `${JSON.stringify(clean, null, 2)}\n`;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
