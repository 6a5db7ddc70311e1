/**
 * Sagas have no isolation of their own: each anomaly is shown first as it happens to operations that do nothing about it, and
 * then to the same operations with the countermeasure.
 */
import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { addTo, defineParticipant, operation, refuse, reread, semanticLock } from 'temporal-txn/participant';
import type { Tx } from 'temporal-txn/participant';
import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { refusal, useParticipant, usePostgres } from './fixture';
import type { TestBranch } from './fixture';

const SCHEMA =
  'create table seat (id text primary key, status text not null, price integer not null, version integer not null)';

async function statusOf(tx: Tx, id: string): Promise<string> {
  const { rows } = await tx.query<{ status: string }>('select status from seat where id = $1', [id]);
  return rows[0]!.status;
}

async function setStatus(tx: Tx, id: string, status: string): Promise<void> {
  await tx.query('update seat set status = $2 where id = $1', [id, status]);
}

const Seat = z.strictObject({ id: z.string() });
const Priced = Seat.extend({ price: z.int(), version: z.int() });
const Raised = Seat.extend({ by: z.int() });

/** Sells a seat, in a saga that may yet be undone. */
const sell = (guard: (tx: Tx, id: string) => Promise<void>) =>
  operation({
    input: Seat,
    async execute(tx, { id }) {
      await guard(tx, id);
      await setStatus(tx, id, 'sold');
    },
    async compensate(tx, { id }) {
      await setStatus(tx, id, 'free');
    },
  });

/** Gives who bought a seat a free drink, in another saga. */
const treat = (guard: (tx: Tx, id: string) => Promise<void>) =>
  operation({
    input: Seat,
    async execute(tx, { id }) {
      await guard(tx, id);
      const status = await statusOf(tx, id);
      return { drink: status === 'sold' };
    },
  });

/** Locks a seat and thinks about it for a while. */
const view = () =>
  operation({
    input: Seat.extend({ ms: z.int().optional() }),
    async execute(tx, { id, ms = 0 }) {
      await lock(tx, id);
      await tx.query('select pg_sleep($1::float / 1000)', [ms]);
    },
    async compensate() {
      // It changed nothing.
    },
  });

/** Writes a price that was worked out from one that was read in an earlier step. */
const setPrice = (check: (tx: Tx, input: z.infer<typeof Priced>) => Promise<void>) =>
  operation({
    input: Priced,
    async execute(tx, input) {
      await check(tx, input);
      await tx.query('update seat set price = $2, version = version + 1 where id = $1', [input.id, input.price]);
    },
  });

const unguarded = async (): Promise<void> => undefined;
const lock = (tx: Tx, id: string) => semanticLock(tx, `seat/${id}`);

const theatre = defineParticipant('theatre', {
  sell: sell(unguarded),
  treat: treat(unguarded),
  sellLocked: sell(lock),
  treatLocked: treat(lock),
  treatOrRefuse: treat((tx, id) => semanticLock(tx, `seat/${id}`, { onConflict: 'refuse' })),

  view: view(),
  viewAgain: view(),
  viewOnceMore: view(),

  setPrice: setPrice(unguarded),
  setPriceReread: setPrice((tx, { id, version }) => reread(tx, { table: 'seat', key: { id }, expected: version })),

  /** Its compensation writes back what it found. */
  raiseBySetting: operation({
    input: Raised,
    async execute(tx, { id, by }) {
      const { rows } = await tx.query<{ price: number }>('select price from seat where id = $1 for update', [id]);
      const before = rows[0]!.price;
      await tx.query('update seat set price = $2 where id = $1', [id, before + by]);
      return { before };
    },
    async compensate(tx, { id }, { before }) {
      await tx.query('update seat set price = $2 where id = $1', [id, before]);
    },
  }),
  /** Its compensation takes away what it added. */
  raiseByAdding: operation({
    input: Raised,
    async execute(tx, { id, by }) {
      return { price: await addTo(tx, { table: 'seat', key: { id }, column: 'price', amount: by, atLeast: 0 }) };
    },
    async compensate(tx, { id, by }) {
      await addTo(tx, { table: 'seat', key: { id }, column: 'price', amount: -by });
    },
  }),
  lockNothing: operation({
    input: z.strictObject({}),
    async execute(tx) {
      await semanticLock(tx, '');
      refuse('unreachable', 'A lock without a name was granted');
    },
  }),
});

const service = useParticipant(
  usePostgres(),
  'theatre',
  () => theatre,
  async (pool) => {
    await pool.query(SCHEMA);
  },
);

beforeEach(async () => {
  await service.rows('truncate seat, txn.semantic_lock');
  await service.rows(`insert into seat values ('A1', 'free', 100, 1)`);
});

const priceOf = async (id: string) =>
  (await service.rows('select price from seat where id = $1', [id]))[0]!['price'] as number;
const seat = { id: 'A1' };
const locked = { type: 'ResourceLocked', nonRetryable: false };

/** As Temporal does. */
async function insist(branch: TestBranch, ask: 'execute' | 'compensate'): Promise<unknown> {
  try {
    return await branch[ask]();
  } catch (error) {
    if (error instanceof ApplicationFailure && !error.nonRetryable) return insist(branch, ask);
    throw error;
  }
}

describe('a dirty read: a saga builds on what another one takes back', () => {
  it('happens without a semantic lock', async () => {
    const sale = service.branch('sell', seat);
    await sale.execute();
    const { result } = (await service.branch('treat', seat).execute()) as { result: unknown };
    await sale.compensate();
    // A drink for a seat that nobody has bought.
    expect(result).toEqual({ drink: true });
    expect(await service.rows('select status from seat')).toEqual([{ status: 'free' }]);
  });

  it('does not happen under a semantic lock: the other saga waits until the first is undone', async () => {
    const sale = service.branch('sellLocked', seat);
    expect(await sale.execute()).toMatchObject({ locks: true });
    const drink = service.branch('treatLocked', seat);
    await expect(drink.execute()).rejects.toMatchObject({ type: 'ResourceLocked', nonRetryable: false });
    await sale.compensate();
    expect(await drink.execute()).toMatchObject({ answer: 'applied', result: { drink: false } });
  });

  it('does not happen under a semantic lock: the other saga waits until the first is complete', async () => {
    const sale = service.branch('sellLocked', seat);
    await sale.execute();
    const drink = service.branch('treatLocked', seat);
    await expect(drink.execute()).rejects.toMatchObject({ type: 'ResourceLocked' });
    expect(await service.releaseLocks(sale.transaction)).toEqual({ released: 1 });
    expect(await drink.execute()).toMatchObject({ result: { drink: true } });
  });

  it('does not happen under a semantic lock, and who does not want to wait is refused', async () => {
    await service.branch('sellLocked', seat).execute();
    await expect(service.branch('treatOrRefuse', seat).execute()).rejects.toMatchObject(refusal('resource-locked'));
  });

  it('is no matter within one saga: it passes its own lock', async () => {
    const sale = service.branch('sellLocked', seat);
    await sale.execute();
    const drink = service.branch('treatLocked', seat, sale.transaction);
    expect(await drink.execute()).toMatchObject({ result: { drink: true } });
    expect(await service.releaseLocks(sale.transaction)).toEqual({ released: 1 });
  });

  it.each([0, 1, 2])('does not happen while one of three steps under one lock is not undone: step %i', async (last) => {
    const { transaction } = service.branch('view', seat);
    const steps = ['view', 'viewAgain', 'viewOnceMore'].map((name) => service.branch(name, seat, transaction));
    for (const step of steps) expect(await step.execute()).toMatchObject({ answer: 'applied', locks: true });
    for (const step of steps) expect(await step.execute()).toMatchObject({ answer: 'applied-before', locks: true });
    const drink = service.branch('treatLocked', seat);
    for (const step of steps.toSpliced(last, 1)) {
      await step.compensate();
      await expect(drink.execute()).rejects.toMatchObject(locked);
    }
    await steps[last]?.compensate();
    expect(await drink.execute()).toMatchObject({ answer: 'applied' });
    expect(await service.releaseLocks(transaction)).toEqual({ released: 0 });
  });

  it('does not happen when steps under one lock are done and undone at the same moment, and no lock stays', async () => {
    const saga = async (): Promise<void> => {
      const mine = { id: randomUUID() };
      const first = service.branch('view', mine);
      const { transaction } = first;
      const second = service.branch('viewAgain', { ...mine, ms: 20 }, transaction);
      const third = service.branch('viewOnceMore', mine, transaction);
      await first.execute();
      await Promise.all([insist(first, 'compensate'), insist(second, 'execute'), insist(third, 'execute')]);
      const other = service.branch('treatLocked', mine);
      await expect(other.execute()).rejects.toMatchObject(locked);
      await Promise.all([insist(second, 'compensate'), insist(third, 'compensate')]);
      expect(await service.releaseLocks(transaction)).toEqual({ released: 0 });
    };
    await Promise.all(Array.from({ length: 20 }, saga));
  });

  it('cannot be guarded against without a name for what is locked', async () => {
    await expect(service.branch('lockNothing', {}).execute()).rejects.toMatchObject(refusal('invalid-resource'));
  });
});

describe('a lost update: a saga writes what it worked out from an old read', () => {
  // Both sagas have read price 100 at version 1; one wants 10 more, the other 25 more.
  const first = { id: 'A1', price: 110, version: 1 };
  const second = { id: 'A1', price: 125, version: 1 };

  it('happens without rereading', async () => {
    await service.branch('setPrice', first).execute();
    await service.branch('setPrice', second).execute();
    // The first 10 are gone, and nobody was told.
    expect(await priceOf('A1')).toBe(125);
  });

  it('does not happen with rereading: the second saga is told that its read is old', async () => {
    await service.branch('setPriceReread', first).execute();
    await expect(service.branch('setPriceReread', second).execute()).rejects.toMatchObject(refusal('stale-version'));
    await service.branch('setPriceReread', { id: 'A1', price: 135, version: 2 }).execute();
    expect(await priceOf('A1')).toBe(135);
  });

  it('does not happen with rereading when both write at the same moment', async () => {
    const writes = await Promise.allSettled(
      [first, second].map((input) => service.branch('setPriceReread', input).execute()),
    );
    expect(writes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('is told from a record that is gone', async () => {
    await expect(service.branch('setPriceReread', { ...first, id: 'Z9' }).execute()).rejects.toMatchObject(
      refusal('not-found'),
    );
  });
});

describe('a lost update by compensation: undoing one saga undoes another', () => {
  it('happens when the old value is written back', async () => {
    const raise = service.branch('raiseBySetting', { id: 'A1', by: 10 });
    await raise.execute();
    await service.branch('raiseBySetting', { id: 'A1', by: 25 }).execute();
    await raise.compensate();
    // 125 would be right: the other 25 are gone.
    expect(await priceOf('A1')).toBe(100);
  });

  it('does not happen with commutative updates', async () => {
    const raise = service.branch('raiseByAdding', { id: 'A1', by: 10 });
    expect(await raise.execute()).toMatchObject({ result: { price: 110 } });
    await service.branch('raiseByAdding', { id: 'A1', by: 25 }).execute();
    await raise.compensate();
    expect(await priceOf('A1')).toBe(125);
  });

  it('does not happen with commutative updates, and neither does a value that the rules forbid', async () => {
    const lowered = Array.from({ length: 20 }, () => service.branch('raiseByAdding', { id: 'A1', by: -9 }).execute());
    const outcomes = await Promise.allSettled(lowered);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason as unknown);
    expect(refused).toHaveLength(9);
    for (const reason of refused) expect(reason).toMatchObject(refusal('too-little'));
    expect(await priceOf('A1')).toBe(1);
  });

  it('is told from a record that is gone', async () => {
    await expect(service.branch('raiseByAdding', { id: 'Z9', by: 1 }).execute()).rejects.toMatchObject(
      refusal('not-found'),
    );
  });
});
