/**
 * Grouped transfers in both directions, as sagas and by two-phase commit, while somebody kills workers, databases and Temporal: at
 * crash points, while a group hands over, and at random. Each caller hears how its own ended; then every answer is compared with the
 * databases.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { connectTemporal, TransactionAborted, TransactionClient, TransactionCompensated } from 'temporal-txn/client';
import { expect, it, onTestFinished } from 'vitest';
import { readBooks } from '../../demo/books';
import type { Shop, WorkerName } from '../../demo/shop';
import type { CrashpointName } from '../../src/protocol';
import type { Transfer } from '../../workflows/bank-transfer';
import { depth, isTurnOf, some } from '../depth';
import { arm, entriesOf, expectSoundBooks, expectTransferOnce, newId, until, useShop } from '../end-to-end/fixture';
import { untilNothingPrepared, untilPrepared } from '../end-to-end/two-phase-fixture';
import { openAccount } from '../end-to-end/ways';

const SECONDS = depth({ sample: 6, campaign: 120 });
const SETTLE_MS = 120_000;
const TYPES = ['transferMoney', 'transferMoneyAtomically'] as const;

const shop = useShop({ open: ['north-bank', 'south-bank', 'audit'] });

const transferOf = (n: number): Transfer => {
  const there = { bank: 'north-bank', account: n % 4 === 0 ? 'carol' : 'alice' } as const;
  const back = { bank: 'south-bank', account: n % 7 === 0 ? 'nobody' : 'bob' } as const;
  const amount = 1 + (n % 900);
  return n % 3 === 0
    ? { from: back, to: there, amount, currency: 'EUR' }
    : { from: there, to: back, amount, currency: 'EUR' };
};

const connect = () => {
  const { address, namespace } = shop().stack.temporal;
  return connectTemporal({ address, namespace });
};

/** What its caller hears. */
const endOf = (execution: Promise<unknown>): Promise<'committed' | 'compensated'> =>
  execution.then(
    () => 'committed',
    (error: unknown) => {
      if (error instanceof TransactionCompensated || error instanceof TransactionAborted) return 'compensated';
      throw error;
    },
  );

/** The same for one that may have been tried several times, each time under an id of its own. */
async function expectAtomicOnce(open: Shop, id: string, { from, to, amount }: Transfer, end: string): Promise<void> {
  const ids = [id, ...Array.from({ length: 9 }, (_, n) => `${id}+${n + 2}`)];
  const entries = (await Promise.all(ids.map((one) => entriesOf(open, one)))).flat();
  const wanted = end === 'committed' ? [`${from.bank} debit ${-amount}`, `${to.bank} credit ${amount}`] : [];
  expect(entries.sort(), id).toEqual(wanted.sort());
}

const CRASHES: readonly (readonly [(typeof TYPES)[number], CrashpointName])[] = [
  ['transferMoney', 'branch.logged-before-work'],
  ['transferMoney', 'branch.before-commit'],
  ['transferMoney', 'many.done-before-report'],
  ['transferMoneyAtomically', 'two-phase.before-prepare'],
  ['transferMoneyAtomically', 'two-phase.prepared-before-vote'],
  ['transferMoneyAtomically', 'two-phase.decided-before-finish'],
  ['transferMoneyAtomically', 'two-phase.finished-before-report'],
  ['transferMoneyAtomically', 'many.done-before-report'],
];

it.each(some(CRASHES, 1, 'crashes in groups'))(
  'commits a group of %s once whose participant dies at %s',
  async (type, at) => {
    const before = await readBooks(shop());
    const client = await connect();
    const grouping = new TransactionClient({ client, grouping: true });
    const crashed = await arm(shop(), 'north-bank', { at, action: { kind: 'kill' } });
    const work = Array.from({ length: type === TYPES[0] ? 20 : 3 }, (_, n) => ({ id: newId(type), amount: n + 1 }));
    const transfers = work.map(({ id, amount }) => ({ id, transfer: { ...transferOf(1), amount } }));
    await Promise.all(transfers.map(({ id, transfer }) => grouping.execute(type, { id, input: transfer })));
    expect(crashed()).toContain(at);
    await untilNothingPrepared(shop());
    for (const { id, transfer } of transfers)
      if (type === TYPES[0]) await expectTransferOnce(shop(), id, transfer, 'committed');
      else await expectAtomicOnce(shop(), id, transfer, 'committed');
    await expectSoundBooks(shop(), before);
    await client.connection.close();
  },
  90_000,
);

/** How far a group has come with handing over, as the last event of its history says. */
const MOMENTS = {
  'it has asked for workflows of their own': 'startChildWorkflowExecutionInitiatedEventAttributes',
  'one of them has started': 'childWorkflowExecutionStartedEventAttributes',
  'it has found one that was there already': 'startChildWorkflowExecutionFailedEventAttributes',
  'it tells one that was there already': 'signalExternalWorkflowExecutionInitiatedEventAttributes',
} as const;
type Moment = keyof typeof MOMENTS;
const LAST: Moment = 'it tells one that was there already';
const BEFORE = 'it has not begun to';

const LOST_MEANWHILE = ['the worker of the workflows', 'Temporal'] as const;
const UNHEARD = 'a bank, with what it has done and not told';

/** By two-phase commit there is nothing to tell: the register has it. */
const momentsOf = (type: (typeof TYPES)[number]): readonly Moment[] =>
  (Object.keys(MOMENTS) as Moment[]).slice(0, type === 'transferMoney' ? 4 : 3); // Cast: those are its keys.

const HAND_OVERS = TYPES.flatMap((type) => [
  ...LOST_MEANWHILE.flatMap((lost) => momentsOf(type).map((moment) => [type, lost, moment] as const)),
  [type, UNHEARD, BEFORE] as const,
]);

/** Each on accounts of its own, so that none waits for another one. The last one is to nobody. */
async function openCrowd(): Promise<readonly { readonly id: string; readonly transfer: Transfer }[]> {
  const crowd = Array.from({ length: 8 }, (_, n) => ({ id: newId('handed-over'), transfer: transferOf(n) }));
  return Promise.all(
    crowd.map(async ({ id, transfer: { from, to, ...rest } }, n) => {
      for (const { bank } of [from, to]) await openAccount(shop(), bank, id, 1_000);
      const account = n === crowd.length - 1 ? 'nobody' : id;
      return { id, transfer: { from: { ...from, account: id }, to: { ...to, account }, ...rest } };
    }),
  );
}

it.each(some(HAND_OVERS, 1, 'lost while a group hands over'))(
  'a group of %s hands all over once, where %s is lost when %s',
  async (type, lost, moment) => {
    for (let tries = 1; !(await handOver(type, lost, moment)); tries++)
      expect(tries, 'groups that ended before anything was lost').toBeLessThan(5);
  },
  300_000,
);

/** @returns whether what is lost was lost in time: the group may have ended in the same moment, and all the rest holds then too */
async function handOver(
  type: (typeof TYPES)[number],
  lost: (typeof LOST_MEANWHILE)[number] | typeof UNHEARD,
  moment: Moment | typeof BEFORE,
): Promise<boolean> {
  const { stack, workers, transactions } = shop();
  const crowd = await openCrowd();
  const before = await readBooks(shop());
  const client = await connect();
  const grouping = new TransactionClient({ client, grouping: true, patienceMs: 60_000 });
  const at = 'many.done-before-report';
  const crashed = lost === UNHEARD ? await arm(shop(), 'south-bank', { at, action: { kind: 'kill' } }) : undefined;
  // So that none of them ends before.
  await workers.audit.stop();
  onTestFinished(async () => {
    if (!workers.audit.running) await workers.audit.start();
  });
  const ends = crowd.map(({ id, transfer }) => endOf(grouping.execute(type, { id, input: transfer })));
  for (const { id } of crowd.slice(0, -1))
    if (type === TYPES[0]) await until(`${id} is booked`, async () => (await entriesOf(shop(), id)).length === 2);
    else await untilPrepared(shop(), id, 2);
  let group = '';
  // On a busy machine it has handed over by itself before anybody looks: those that wait are left behind after a second or two.
  await until('the group is listed, or all but one go on alone', async () => {
    [group = ''] = await running(client, 'runGroup');
    return group !== '' || (await running(client, type)).length >= crowd.length - 1;
  });
  // These are there already when the group wants to start them.
  for (const { id, transfer } of crowd.slice(0, 2)) await transactions.start(type, { id, input: transfer });
  const handle = client.workflow.getHandle(group);
  let inTime = group !== '' && (await isHeard(handle.cancel()));
  if (inTime && moment !== BEFORE) inTime = await untilEvent(handle, MOMENTS[moment]);
  if (inTime && moment !== BEFORE) {
    if (lost === 'Temporal') {
      await stack.temporal.kill();
      await stack.temporal.restart();
    } else {
      await workers.transactions.kill();
      // With its last signal it mostly has.
      inTime = moment === LAST || (await handle.describe()).status.name === 'RUNNING';
    }
  }
  await workers.audit.start();
  const heard = await Promise.all(ends);
  expect(heard).toEqual(crowd.map((_, n) => (n === crowd.length - 1 ? 'compensated' : 'committed')));
  if (crashed) expect(crashed()).toContain(at);
  await untilNothingPrepared(shop());
  for (const [n, { id, transfer }] of crowd.entries())
    if (type === TYPES[0]) await expectTransferOnce(shop(), id, transfer, heard[n]!);
    else await expectAtomicOnce(shop(), id, transfer, heard[n]!);
  for (const { id } of crowd.slice(0, -1))
    expect(await endOf(transactions.handle(id).result()), `the workflow of ${id}`).toBe('committed');
  await until('nobody is left open', async () =>
    (await Promise.all(['runGroup', type].map((one) => running(client, one)))).every(({ length }) => length === 0),
  );
  await expectSoundBooks(shop(), before);
  await client.connection.close();
  return inTime;
}

/** Those of a type. */
async function running({ workflow }: Client, type: string): Promise<string[]> {
  const ids: string[] = [];
  const query = `WorkflowType = '${type}' and ExecutionStatus = 'Running'`;
  for await (const { workflowId } of workflow.list({ query })) ids.push(workflowId);
  return ids;
}

/** @returns false where the workflow has ended */
const isHeard = (cancelling: Promise<unknown>): Promise<boolean> =>
  cancelling.then(
    () => true,
    (error: unknown) => {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    },
  );

/** Waits for such an event, after somebody has cancelled the workflow. @returns false where it has ended without */
async function untilEvent(handle: WorkflowHandle, attributes: (typeof MOMENTS)[Moment]): Promise<boolean> {
  // What follows may take a moment only.
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(5)) {
    const all = (await handle.fetchHistory()).events ?? [];
    const cancelled = all.findIndex((event) => event.workflowExecutionCancelRequestedEventAttributes);
    if (cancelled >= 0 && all.slice(cancelled).some((event) => event[attributes])) return true;
    if (all.at(-1)?.workflowExecutionCompletedEventAttributes) return false;
  }
  throw new Error(`${handle.workflowId} has not come to ${attributes}.`);
}

it.skipIf(!isTurnOf('nemesis', 'groups'))(
  'ends every one of them as its caller was told, and the books add up',
  async () => {
    const { stack, workers } = shop();
    const before = await readBooks(shop());
    const client = await connect();
    const grouping = new TransactionClient({ client, grouping: { maxSize: 50, inFlight: 2 }, patienceMs: 60_000 });
    const began = Date.now();
    const submitted: { id: string; type: (typeof TYPES)[number]; transfer: Transfer; end: ReturnType<typeof endOf> }[] =
      [];
    const submit = async (): Promise<void> => {
      for (let n = 0; Date.now() - began < SECONDS * 1_000; n++) {
        const type = n % 20 === 0 ? TYPES[1] : TYPES[0];
        const id = newId(`grouped-${type}`);
        const transfer = transferOf(n);
        const end = endOf(grouping.execute(type, { id, input: transfer }));
        end.catch(() => undefined);
        submitted.push({ id, type, transfer, end });
        if (n % 10 === 9) await sleep(500);
      }
    };
    const breakThings = async (): Promise<void> => {
      const names: readonly WorkerName[] = ['transactions', 'north-bank', 'south-bank'];
      for (let n = 0; Date.now() - began < SECONDS * 1_000; n++) {
        await sleep(1_500);
        await workers[names[n % names.length]!].kill();
        const server = n % 3 === 2 ? stack.temporal : stack.postgres[n % 2 === 0 ? 'a' : 'b'];
        if (n % 3 === 0) continue;
        await server.kill();
        await sleep(300);
        await server.restart();
      }
    };
    await Promise.all([submit(), breakThings()]);
    await grouping.drain();
    await grouping.close();
    await untilNothingPrepared(shop());
    const ends = await Promise.all(submitted.map(({ end }) => end));
    expect(ends.filter((end) => end === 'committed').length).toBeGreaterThan(submitted.length / 4);
    expect(ends.filter((end) => end === 'compensated').length).toBeGreaterThan(0);
    for (const [i, { id, type, transfer }] of submitted.entries()) {
      const end = ends[i]!;
      if (type === 'transferMoney') await expectTransferOnce(shop(), id, transfer, end);
      else await expectAtomicOnce(shop(), id, transfer, end);
    }
    await expectSoundBooks(shop(), before);
    await client.connection.close();
  },
  SECONDS * 1_000 + SETTLE_MS + 120_000,
);
