/**
 * Records the histories that replay.test.ts replays: `node dist/test/replay/record.js`, after a build. Record anew only when a
 * change that old histories cannot follow is meant and versioned; the diff of the histories then shows what it costs. With the
 * names of cases it records these alone.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import type { TransactionHandle, VoteRequest } from '../../src/client';
import { askedOfMany } from '../../src/participant/many';
import { GROUP_WORKFLOW, MANY } from '../../src/protocol';
import type { GroupAnswer, GroupRequest, ManyRequest } from '../../src/protocol';
import type { Activities } from '../../src/testing';
import { packageRoot } from '../saga-more/environment';
import { PARTICIPANT_BUNDLE, startRealTimeEnvironment } from '../real-server';
import type { RealTimeEnvironment } from '../real-server';
import { gate, ScriptedWorld } from '../saga-more/scripted';
import { ModelParticipants } from '../two-phase-commit/participants';
import { CASES } from './cases';
import type { RecordedCase } from './cases';
import { GROUP_CASES, TRANSFER } from './group-cases';
import type { GroupCase } from './group-cases';
import { TWO_PHASE_CASES } from './two-phase-cases';
import type { TwoPhaseCase } from './two-phase-cases';

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

const COMPANIES = ['airline', 'hotel', 'car-rental'];

async function main(): Promise<void> {
  const only = process.argv.slice(2);
  const wanted = ({ name }: { readonly name: string }): boolean => only.length === 0 || only.includes(name);
  const world = new ScriptedWorld();
  const model = new ModelParticipants();
  const atomic = model.activities();
  const participants = Object.entries(OPERATIONS).map(([name, of]) => [name, world.participant(of)] as const);
  const everybody = {
    ...Object.fromEntries(
      participants.map(([name, activities]) => [name, askedTogether({ ...atomic, ...activities })]),
    ),
    recovered: { ...atomic, ...model.recovery() },
    ...Object.fromEntries(COMPANIES.map((name) => [name, { ...atomic, ...model.registerActivities() }])),
  };
  const env = await startRealTimeEnvironment('replay', everybody, PARTICIPANT_BUNDLE);
  try {
    await mkdir(directory, { recursive: true });
    for (const old of await readdir(directory)) if (only.length === 0) await rm(join(directory, old));
    for (const one of [...CASES, ...TWO_PHASE_CASES, ...GROUP_CASES].filter(wanted)) {
      if ('members' in one) await playGroup(env, world, one);
      else if ('scripts' in one) await play(env, world, one);
      else await playTwoPhase(env, model, one);
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

async function playTwoPhase(env: RealTimeEnvironment, model: ModelParticipants, one: TwoPhaseCase): Promise<void> {
  const { name, workflow, input, answers = {}, then } = one;
  for (const [question, lines] of Object.entries(answers)) model.say(name, question, ...lines);
  const waiting = gate();
  if (then?.kind === 'cancel')
    model.say(name, `prepare ${then.branch}`, async (usual) => {
      await waiting.script(1);
      return usual();
    });
  const handle = await env.transactions.start(workflow, { id: name, input });
  switch (then?.kind) {
    case 'cancel':
      await waiting.entered;
      await handle.cancel();
      while (!model.asked(name).some((question) => question.startsWith('abort'))) await pause(20);
      waiting.release();
      break;
    case 'skip':
      while (!(await isHeld(handle))) await pause(20);
      await handle.skipStep({ step: then.branch, reason: 'recorded', by: 'kim' });
      break;
    case 'vote': {
      const asked = env.client.workflow.getHandle(name);
      const pending = async () => asked.query<{ request: VoteRequest } | null>('pendingApproval').catch(() => null);
      let found = await pending();
      for (; found === null; found = await pending()) await pause(20);
      await env.transactions.vote(found.request, 'commit');
      break;
    }
    case 'accept':
      while ((await handle.reports())[0]?.outcome !== 'reserved') await pause(20);
      await env.client.workflow.getHandle(name).executeUpdate('answerTrip', { args: [{ accept: true }] });
      break;
    case 'tell': {
      const told = env.client.workflow.getHandle(name);
      while (model.state(name, then.branch) !== 'prepared') await pause(20);
      await told.signal('preCommit', { token: 'token' });
      while (!model.preCommitted.has(`${name} ${then.branch}`)) await pause(20);
      await told.signal('doCommit', { token: 'token' });
      break;
    }
    case 'end':
      while (model.asked(name).filter((question) => question === then.branch).length < 4) await pause(20);
      await env.client.workflow.getHandle(name).terminate('recorded');
      break;
    case undefined:
  }
  await handle.result().catch(() => undefined); // How it ends is in the history.
}

/** A participant that is asked for many branches in one activity, too. */
function askedTogether(activities: Activities): Activities {
  const questions = activities as Record<string, (request: never) => Promise<unknown>>; // Cast: each takes a request.
  const many = askedOfMany({ questions, together: new Map(), concurrency: 8 });
  return { ...activities, [MANY]: (request: ManyRequest) => many(request) };
}

async function playGroup(env: RealTimeEnvironment, world: ScriptedWorld, one: GroupCase): Promise<void> {
  const { name, type, members } = one;
  for (const { id, scripts = {} } of members)
    for (const [branch, script] of Object.entries(scripts)) world.script(id, branch, script);
  const items = members.map(({ id }) => ({ id, input: TRANSFER, request: 'hash of the input' }));
  const group = await env.client.workflow.start<(request: GroupRequest) => Promise<GroupAnswer>>(GROUP_WORKFLOW, {
    workflowId: name,
    taskQueue: 'transactions',
    args: [{ type, items }],
  });
  const { outcomes } = await group.result();
  for (const { kind, id } of outcomes)
    // How it ends is in its own history.
    if (kind === 'on-its-own')
      await env.transactions
        .handle(id)
        .result()
        .catch(() => undefined);
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
