/** What the end-to-end tests of two-phase commit ask of a shop: what is prepared, what the register says, and whether all obeyed it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isGrpcServiceError, ServiceError } from '@temporalio/client';
import { TransactionAborted, TransactionCompensated, TransactionInterrupted } from 'temporal-txn/client';
import { listPrepared } from 'temporal-txn/participant';
import { expect } from 'vitest';
import type { Shop, WorkerName } from '../../demo/shop';
import type { CrashOrder } from '../../src/testing';
import type { Transfer } from '../../workflows/bank-transfer';
import { newId, until } from './fixture';

export const ATOMICALLY = 'transferMoneyAtomically';

/** The services that a transfer has branches at. */
export const parties = ['north-bank', 'south-bank', 'audit'] as const;
type Party = (typeof parties)[number];

export const secondsSince = (ms: number): string => `${((Date.now() - ms) / 1_000).toFixed(1)} s`;

/** A prepared transaction of ours. */
export interface Prepared {
  readonly party: Party;
  readonly gid: string;
  readonly ageMs: number;
  /** Absent for an orphan. */
  readonly transaction?: string;
}

/** All that is prepared at the services of a transfer, or of one transfer alone. */
export async function preparedAt({ databases, stack }: Shop, id?: string): Promise<Prepared[]> {
  const { namespace } = stack.temporal;
  const lists = await Promise.all(
    parties.map(async (party) => {
      const listed = await listPrepared(databases[party], { participant: party, namespace });
      return listed.map(({ gid, ageMs, branch }) => ({
        party,
        gid,
        ageMs,
        ...(branch ? { transaction: branch.transaction } : {}),
      }));
    }),
  );
  return lists.flat().filter(({ transaction }) => id === undefined || transaction === id);
}

/** Waits until so many branches of a transfer are prepared. */
export const untilPrepared = (shop: Shop, id: string, count: number): Promise<void> =>
  until(`${count} branches of ${id} are prepared`, async () => (await preparedAt(shop, id)).length >= count);

/** Waits until nothing is prepared any more, though servers may be away. Says how long that took, in milliseconds. */
export async function untilNothingPrepared(shop: Shop, patienceMs = 120_000): Promise<number> {
  const started = Date.now();
  let left: Prepared[] | undefined;
  while (Date.now() - started < patienceMs) {
    left = await preparedAt(shop).catch(() => undefined);
    if (left?.length === 0) return Date.now() - started;
    await sleep(50);
  }
  throw new Error(`After ${patienceMs / 1_000} s there is still prepared: ${JSON.stringify(left)}`);
}

interface Row {
  readonly transaction: string;
  readonly decision: 'commit' | 'abort';
  readonly by: string;
  readonly reason: { readonly code: string } | null;
}

/** What the register of a bank says of a transfer and, after contention, of its further attempts (`id+2`, …). */
export async function decisionsOf({ databases }: Shop, bank: Transfer['from']['bank'], id: string): Promise<Row[]> {
  const { rows } = await databases[bank].query<Row>(
    `select transaction_id as transaction, outcome as decision, decided_by as by, reason from txn.decision
      where split_part(transaction_id, '+', 1) = $1 order by transaction_id`,
    [id],
  );
  return rows;
}

/** Waits until the register of North Bank says something. */
export const untilDecided = (shop: Shop, id: string): Promise<void> =>
  until(`${id} is decided`, async () => (await decisionsOf(shop, 'north-bank', id)).length > 0);

/** How a transaction ended, as whoever waits for it hears. */
export type End = 'committed' | 'aborted' | 'compensated' | 'terminated';

/** Waits for the end, in spite of servers that are away for a while. Anything but these ends is an error. */
export async function endOfAny({ transactions }: Shop, id: string, patienceMs = 60_000): Promise<End> {
  const handle = transactions.handle(id);
  for (const deadline = Date.now() + patienceMs; ;) {
    try {
      const late = sleep(Math.max(0, deadline - Date.now()), 'late' as const, { ref: false });
      if ((await Promise.race([handle.result(), late])) === 'late')
        throw new Error(`Waited ${patienceMs / 1_000} s until ${id} ends, in vain.`);
      return 'committed';
    } catch (error) {
      if (error instanceof TransactionAborted) return 'aborted';
      if (error instanceof TransactionCompensated) return 'compensated';
      if (error instanceof TransactionInterrupted) return 'terminated';
      // Temporal is away.
      if (!isGrpcServiceError(error) && !(error instanceof ServiceError)) throw error;
      await sleep(200);
    }
  }
}

/** What stands at the services of a transfer, of all its attempts. */
interface Standing {
  readonly branches: readonly { readonly party: Party; readonly transaction: string; readonly state: string }[];
  /** `north-bank debit -100` */
  readonly entries: readonly string[];
  readonly records: number;
}

async function standingOf({ databases }: Shop, id: string): Promise<Standing> {
  const branches = parties.map(async (party) => {
    const { rows } = await databases[party].query<{ transaction: string; state: string }>(
      `select transaction_id as transaction, state from txn.branch
        where split_part(transaction_id, '+', 1) = $1 order by transaction_id, branch_id`,
      [id],
    );
    return rows.map((row) => ({ party, ...row }));
  });
  const entries = (['north-bank', 'south-bank'] as const).map(async (bank) => {
    const { rows } = await databases[bank].query<{ account: string; kind: string; amount: string }>(
      "select account, kind, amount from entry where split_part(transaction_id, '+', 1) = $1 order by id",
      [id],
    );
    return rows.map(({ account, kind, amount }) => `${bank}/${account} ${kind} ${amount}`);
  });
  const records = await databases.audit.query(
    "select from standing_record where split_part(transaction_id, '+', 1) = $1",
    [id],
  );
  return {
    branches: (await Promise.all(branches)).flat(),
    entries: (await Promise.all(entries)).flat(),
    records: records.rowCount ?? 0,
  };
}

/**
 * All databases did what the register says, the whole transfer once or nothing of it, and nothing is left prepared. Says what
 * the register says, `none` if nobody ever asked it.
 */
export async function expectObeyed(shop: Shop, id: string, transfer: Transfer): Promise<'commit' | 'abort' | 'none'> {
  const { from, to, amount } = transfer;
  const decisions = await decisionsOf(shop, from.bank, id);
  const standing = await standingOf(shop, id);
  const committed = decisions.filter(({ decision }) => decision === 'commit').map(({ transaction }) => transaction);
  expect(committed.length, `attempts of ${id} that committed`).toBeLessThanOrEqual(1);
  const applied = standing.branches.filter(({ state }) => state === 'applied');
  const once = committed.flatMap((transaction) => parties.map((party) => ({ party, transaction, state: 'applied' })));
  expect(applied, `branches of ${id} that took effect`).toEqual(
    [...once].sort((a, b) => parties.indexOf(a.party) - parties.indexOf(b.party)),
  );
  const moved = [`${from.bank}/${from.account} debit ${-amount}`, `${to.bank}/${to.account} credit ${amount}`];
  expect([...standing.entries].sort(), `entries of ${id}`).toEqual(committed.length === 1 ? moved.sort() : []);
  expect(standing.records, `audit records of ${id}`).toBe(committed.length);
  const left = await preparedAt(shop);
  expect(left.filter(({ transaction }) => transaction?.split('+')[0] === id)).toEqual([]);
  if (committed.length > 0) return 'commit';
  return decisions.length > 0 ? 'abort' : 'none';
}

/** What workers are to do at crash points. */
export type Orders = Partial<Record<WorkerName, readonly CrashOrder[]>>;

/** Workers that are going to be killed. */
export interface Killing {
  /** When the last of them died. */
  readonly died: Promise<number>;
  /** Where each of them was killed. */
  readonly notes: () => string[];
}

/** Gives workers orders for their crash points. */
export async function armAll(shop: Shop, orders: Orders): Promise<Killing> {
  const armed = Object.entries(orders) as [WorkerName, readonly CrashOrder[]][];
  const logs = armed.map(([worker]) => join(shop.stack.directory, `${newId(`crash-${worker}`)}.log`));
  await Promise.all(armed.map(([worker, list], i) => shop.arm(worker, list, logs[i])));
  const deaths = armed.map(([worker]) => shop.workers[worker].died().then(() => Date.now()));
  return {
    died: Promise.all(deaths).then((times) => Math.max(...times)),
    notes: () => logs.flatMap((log) => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [])),
  };
}
