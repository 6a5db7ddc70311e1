/**
 * An operator's hand at the events of a transfer's history, in a campaign at each: cancel, terminate, delete, reset. On a real server, real
 * databases, with the recovery of each participant at work. Whatever she does, and whenever: register and branches agree, the
 * money is there, nothing stays prepared, and what is reported is so.
 */
import type { Client } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TransactionAborted, TransactionClient, TransactionInterrupted, TransactionNotFound } from '../../src/client';
import type { Transfer } from '../../workflows/bank-transfer';
import { endedBefore, SlowServer, tasksIn } from '../real-server';
import { depth, some } from '../depth';
import { Bank, SERVICES, transferOf } from './bank';

const AT_A_TIME = 8;
const AMOUNT = 10;
const TRANSFER = 'transferMoneyAtomically';
/** Each activity dwells before and after its work, so that there is a moment to act at every event. */
const DWELL_MS = 25;

let bank: Bank;
let slow: SlowServer;
let client: Client;
let transactions: TransactionClient;
let money: number;
const endings: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  bank = await Bank.open();
  endings.push(() => bank.close());
  slow = await SlowServer.start('two-phase-commit', bank.activities(), { dwellMs: DWELL_MS, graceMs: 1_000 });
  endings.push(() => slow.stop());
  client = slow.server.client;
  transactions = new TransactionClient({ client });
  for (const service of ['north-bank', 'south-bank'] as const)
    await bank.pools[service].query(
      `with opening as (
         insert into account (id, owner, currency, balance) select 'a' || n, 'Ann', 'EUR', 1000 from generate_series(1, 400) n
         returning id, balance)
       insert into entry (account, kind, amount, transaction_id, branch_id) select id, 'opening', balance, 'opening', id from opening`,
    );
  money = await bank.money();
});
afterAll(async () => {
  for (const end of endings.reverse()) await end();
}, 60_000);

type Reapply = 'signals reapplied' | 'signals excluded';
type Act = 'cancel' | 'terminate' | 'delete' | Reapply;

let begun = 0;
const tried = new Map<string, number>();
const outcomes = new Map<string, number>();
const count = (of: Map<string, number>, what: string): void => void of.set(what, (of.get(what) ?? 0) + 1);

/** Every transfer has accounts of its own: those that are in doubt for a while must not stop others. */
function newTransfer(): { id: string; input: Transfer } {
  const n = ++begun;
  const input = transferOf(AMOUNT, {
    from: { bank: 'north-bank', account: `a${n}` },
    to: { bank: 'south-bank', account: `a${n}` },
  });
  return { id: `operated-${n}`, input };
}

async function act(id: string, what: Act, task?: number): Promise<void> {
  const workflow = client.workflow.getHandle(id);
  const workflowExecution = { workflowId: id };
  const { namespace } = client.options;
  const { workflowService } = client.connection;
  try {
    switch (what) {
      case 'cancel':
        return void (await workflow.cancel());
      case 'terminate':
        return void (await workflow.terminate('by an operator'));
      case 'delete':
        return void (await workflowService.deleteWorkflowExecution({ namespace, workflowExecution }));
      default:
        await slow.reset(id, what === 'signals reapplied', task);
    }
  } catch (error) {
    if (!endedBefore(error)) throw error;
  }
}

const isRunning = async (id: string): Promise<boolean> => {
  try {
    return (await transactions.handle(id).status()) === 'RUNNING';
  } catch (error) {
    if (error instanceof TransactionNotFound) return false;
    throw error;
  }
};

/** In doubt by now, of this transaction. */
async function inDoubt(id: string): Promise<string[]> {
  const found = await Promise.all(
    SERVICES.map(async (service) => {
      const { rows } = await bank.pools[service].query<{ gid: string }>(
        'select gid from txn.preparation join pg_prepared_xacts using (gid) where transaction_id = $1',
        [id],
      );
      return rows.map(({ gid }) => gid);
    }),
  );
  return found.flat();
}

async function quiescence(id: string): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(100)) {
    const busy = (await isRunning(id)) || (slow.inFlight.get(id) ?? 0) > 0 || (await inDoubt(id)).length > 0;
    if (!busy) return;
  }
  throw new Error(`${id} did not come to rest: ${JSON.stringify(await inDoubt(id))}`);
}

type Said = 'committed' | 'aborted' | 'nothing';

async function saidOf(id: string): Promise<Said> {
  try {
    await transactions.handle(id).result();
    return 'committed';
  } catch (error) {
    if (error instanceof TransactionAborted) return 'aborted';
    if (error instanceof TransactionInterrupted || error instanceof TransactionNotFound) return 'nothing';
    throw error;
  }
}

/** The oracle: A1 to A6 of one transaction at rest. */
async function judge(id: string): Promise<'committed' | 'aborted'> {
  const [decisions, branches, entries] = await Promise.all([bank.decisions(id), bank.branches(id), bank.entries(id)]);
  const decided = decisions.map(({ outcome }) => outcome);
  const applied = branches.filter(({ state }) => state === 'applied').map(({ branch }) => branch);
  expect(decided.length, `${id} is decided once`).toBeLessThanOrEqual(1);
  const committed = decided[0] === 'commit';
  expect({ id, applied, entries }).toEqual(
    committed
      ? {
          id,
          applied: ['north-bank.debit', 'south-bank.credit', 'audit.record'],
          entries: [`north-bank debit -${AMOUNT}`, `south-bank credit ${AMOUNT}`],
        }
      : { id, applied: [], entries: [] },
  );
  const said = await saidOf(id);
  if (said !== 'nothing') expect(`${id} ${said}`).toBe(`${id} ${committed ? 'committed' : 'aborted'}`);
  return committed ? 'committed' : 'aborted';
}

async function inTurns<T>(all: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const open = [...all];
  const runner = async (): Promise<void> => {
    for (let next = open.shift(); next !== undefined; next = open.shift()) await run(next);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, runner));
}

/** Acts as soon as the history is so long. */
async function actAt(length: number, what: Act): Promise<void> {
  const { id, input } = newTransfer();
  await transactions.start(TRANSFER, { id, input });
  for (;;) {
    const events = await slow.eventsOf(id);
    const ended = events.at(-1)?.workflowExecutionCompletedEventAttributes;
    if (events.length >= length || ended) break;
  }
  await act(id, what);
  count(tried, what);
  await quiescence(id);
  count(outcomes, `${what}: ${await judge(id)}`);
}

describe('a transfer and an operator', () => {
  let length = 0;
  let tasks: readonly number[] = [];

  it('commits when he leaves it alone', async () => {
    const { id, input } = newTransfer();
    await transactions.execute(TRANSFER, { id, input });
    const events = await slow.eventsOf(id);
    length = events.length;
    tasks = tasksIn(events);
    expect(await judge(id)).toBe('committed');
    expect(length).toBeGreaterThan(20);
  });

  it.each<Act>(['cancel', 'terminate', 'delete', 'signals reapplied', 'signals excluded'])(
    'who does it at any event (%s) is all or nothing',
    async (what) => {
      await inTurns(
        some(
          Array.from({ length }, (_, i) => i + 1),
          8,
          `events of the operator, ${what}`,
        ),
        (at) => actAt(at, what),
      );
    },
    150_000,
  );

  it('who resets it to any workflow task when it has committed, stays committed', async () => {
    const resets = tasks.flatMap((task) =>
      (['signals reapplied', 'signals excluded'] as const).map((what) => ({ task, what })),
    );
    await inTurns(some(resets, 8, 'resets after the end'), async ({ task, what }) => {
      const { id, input } = newTransfer();
      await transactions.execute(TRANSFER, { id, input });
      const ends = tasksIn(await slow.eventsOf(id));
      await act(id, what, ends.find((end) => end >= task) ?? ends.at(-1));
      count(tried, `reset after the end, ${what}`);
      await quiescence(id);
      expect(await judge(id)).toBe('committed');
      expect(await saidOf(id)).toBe('committed');
    });
  }, 150_000);

  it('leaves the money where it was, and nothing in doubt', async () => {
    expect(await bank.prepared()).toEqual([]);
    expect(await bank.money()).toBe(money);
    const acts = [...tried.values()].reduce((a, b) => a + b, 0);
    process.stdout.write(`operator: ${acts} acts ${JSON.stringify(Object.fromEntries(tried))}\n`);
    process.stdout.write(`operator: ${JSON.stringify(Object.fromEntries(outcomes))}\n`);
    expect(acts).toBeGreaterThanOrEqual(depth({ sample: 40, campaign: 60 }));
    // Acts that never changed anything would prove little.
    for (const what of ['cancel', 'terminate', 'delete'])
      for (const outcome of ['committed', 'aborted'])
        expect(outcomes.get(`${what}: ${outcome}`), `${what}: ${outcome}`).toBeGreaterThan(0);
  });
});

describe('transfers that want the same accounts the other way round', () => {
  it('all commit in the end, though nobody detects a deadlock between two databases', async () => {
    const there = transferOf(1);
    const back = transferOf(1, { from: there.to, to: there.from });
    const inputs = Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? there : back));
    await Promise.all(inputs.map((input, i) => transactions.execute(TRANSFER, { id: `crossed-${i}`, input })));
    expect(await bank.prepared()).toEqual([]);
    expect(await bank.money()).toBe(money);
  }, 60_000);
});
