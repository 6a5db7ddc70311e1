/**
 * A try, a confirmation or a cancellation that fails in the middle or meets another one: nothing is stored that a repetition could
 * not put right, nothing happens twice, and nothing stays behind once a reservation has ended.
 */
import { purge, participantActivities, defineParticipant, operation, semanticLock } from 'temporal-txn/participant';
import type { Tx } from 'temporal-txn/participant';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { quietPool } from '../quiet-pool';
import { Company, newId, useCompanies } from './companies';

const companies = useCompanies();
const TIMEOUTS = { lockMs: 300, statementMs: 2_000, idleInTransactionMs: 4_000, startToCloseMs: 9_000 };
const ANY = z.object({ offer: z.string() });

/** What the operations below meet, for as long as a test wants. */
const trouble: { sqlstate?: string; message?: string } = {};
const nothing = async (): Promise<void> => undefined;
/** Slow enough to be met by another one, and with no rule of the schema that would stop the second. */
async function count(tx: Tx, { offer }: z.infer<typeof ANY>): Promise<void> {
  await tx.query('select pg_sleep(0.05)');
  await tx.query('update offer set capacity = capacity + 1, available = available + 1 where id = $1', [offer]);
}
const odd = defineParticipant('odd', {
  clashing: operation({
    input: ANY,
    async try(tx) {
      if (trouble.sqlstate === undefined) return { kept: true };
      await tx.query(`do $$ begin raise exception using errcode = '${trouble.sqlstate}', message = 'made up'; end $$`);
      return { kept: false };
    },
    confirm: nothing,
    cancel: nothing,
  }),
  brittle: operation({
    input: ANY,
    try: async () => ({ kept: true }),
    async confirm(tx, { offer }) {
      await tx.query('update offer set available = 0, booked = capacity where id = $1', [offer]);
      if (trouble.message !== undefined) throw new Error(trouble.message);
    },
    async cancel(tx, { offer }) {
      await tx.query('update offer set available = 0, booked = capacity where id = $1', [offer]);
      if (trouble.message !== undefined) throw new Error(trouble.message);
    },
  }),
  counted: operation({
    input: ANY,
    try: async () => ({ kept: true }),
    confirm: count,
    cancel: count,
  }),
  marked: operation({
    input: ANY,
    try: async (tx, { offer }) => semanticLock(tx, `offer/${offer}`),
    confirm: nothing,
    cancel: nothing,
  }),
});

class Odd extends Company {
  override readonly activities = participantActivities(odd, { pool: this.pool, timeouts: TIMEOUTS });
}
const oddHotel = () => new Odd('hotel', companies.hotel.pool, companies.hotel.url);

describe('a try', () => {
  it('that waits too long for a row is tried again, and refused for nothing', async () => {
    const { hotel } = companies;
    const asking = { transaction: newId(), input: await hotel.offer() };
    const other = await hotel.pool.connect();
    onTestFinished(() => other.release());
    await other.query('begin');
    await other.query('select from offer where id = $1 for update', [asking.input.offer]);
    await expect(hotel.ask('place.try', asking)).rejects.toMatchObject({ nonRetryable: false, type: 'InProgress' });
    expect(await hotel.state(asking.transaction)).toBeUndefined();
    await other.query('commit');
    expect(await hotel.ask('place.try', { ...asking, attempt: 2 })).toMatchObject({ vote: 'commit' });
  });

  it.each([['40001'], ['40P01'], ['55P03']])(
    'that meets %s is tried again, and refused for nothing',
    async (sqlstate) => {
      const hotel = oddHotel();
      onTestFinished(() => void delete trouble.sqlstate);
      const asking = { transaction: newId(), input: { offer: 'X' } };
      trouble.sqlstate = sqlstate;
      await expect(hotel.ask('clashing.try', asking)).rejects.toMatchObject({ nonRetryable: false });
      expect(await hotel.state(asking.transaction)).toBeUndefined();
      expect(await hotel.reservations(asking.transaction)).toBe(0);
      delete trouble.sqlstate;
      expect(await hotel.ask('clashing.try', asking)).toEqual({ vote: 'commit', result: { kept: true } });
    },
  );

  it('that gets no connection is tried again', async () => {
    const { hotel } = companies;
    const pool = quietPool({ connectionString: hotel.url, max: 1, connectionTimeoutMillis: 1_000 });
    const small = new Company('hotel', hotel.pool, hotel.url, pool);
    onTestFinished(() => pool.end());
    const asking = { transaction: newId(), input: await hotel.offer() };
    const held = await pool.connect();
    await expect(small.ask('place.try', asking)).rejects.toMatchObject({ nonRetryable: false });
    held.release();
    expect(await small.ask('place.try', { ...asking, attempt: 2 })).toMatchObject({ vote: 'commit' });
  });

  it('that comes late, after what it reserved was cancelled, reserves nothing again', async () => {
    const { hotel } = companies;
    const asking = { transaction: newId(), input: await hotel.offer() };
    await hotel.ask('place.try', asking);
    await hotel.ask('place.cancel', asking);
    expect(await hotel.ask('place.try', { ...asking, attempt: 2 })).toMatchObject({
      vote: 'abort',
      reason: { code: 'fenced' },
    });
    expect(await hotel.places(asking.input.offer)).toEqual([1, 0, 0]);
  });
});

it.each([['confirm'], ['cancel']] as const)('a %s that throws changes nothing, and is tried again', async (how) => {
  const hotel = oddHotel();
  onTestFinished(() => void delete trouble.message);
  const asking = { transaction: newId(), input: await companies.hotel.offer() };
  await hotel.ask('brittle.try', asking);
  trouble.message = 'The printer is on fire';
  await expect(hotel.ask(`brittle.${how}`, asking)).rejects.toMatchObject({ nonRetryable: false });
  expect(await hotel.state(asking.transaction)).toBe('tried');
  expect(await hotel.reservations(asking.transaction)).toBe(1);
  expect(await hotel.places(asking.input.offer)).toEqual([1, 0, 0]);
  delete trouble.message;
  expect(await hotel.ask(`brittle.${how}`, asking)).toEqual({ kind: 'applied' });
  expect(await hotel.places(asking.input.offer)).toEqual([0, 0, 1]);
});

it.each([['confirm'], ['cancel']] as const)('a semantic lock that a try has set goes with the %s', async (how) => {
  const hotel = oddHotel();
  const [first, second, input] = [newId(), newId(), { offer: `L-${how}` }];
  await hotel.ask('marked.try', { transaction: first, input });
  await expect(hotel.ask('marked.try', { transaction: second, input })).rejects.toMatchObject({
    type: 'ResourceLocked',
    nonRetryable: false,
  });
  await hotel.ask(`marked.${how}`, { transaction: first, input });
  expect(await hotel.ask('marked.try', { transaction: second, input })).toMatchObject({ vote: 'commit' });
});

it.each([
  ['confirm', 'confirm'],
  ['cancel', 'cancel'],
  ['confirm', 'cancel'],
] as const)(
  '%s and %s at the same moment run one of them, where only the branch log tells them apart',
  async (...both) => {
    const hotel = oddHotel();
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const asking = { transaction: newId(), input: await companies.hotel.offer() };
        await hotel.ask('counted.try', asking);
        const acks = await Promise.all(both.map((how) => hotel.insist(`counted.${how}`, asking)));
        expect(await hotel.places(asking.input.offer)).toEqual([2, 0, 0]);
        const applied = acks.filter((ack) => (ack as { readonly kind: string }).kind === 'applied');
        expect(applied.length).toBe(both[0] === both[1] ? 2 : 1);
      }),
    );
  },
);

describe('the purge', () => {
  const purged = () => purge(companies.hotel.pool, { olderThanDays: 1, isOpen: async () => false });
  const age = (transaction: string) =>
    companies.hotel.rows(
      `update txn.branch set created_at = created_at - interval '9 days', ended_at = ended_at - interval '9 days'
        where transaction_id = $1`,
      [transaction],
    );

  it('never removes what is reserved, and removes it once it has ended', async () => {
    const { hotel } = companies;
    const asking = { transaction: newId(), input: await hotel.offer() };
    await hotel.ask('place.try', asking);
    await age(asking.transaction);
    await purged();
    expect(await hotel.state(asking.transaction)).toBe('tried');
    expect(await hotel.ask('place.confirm', asking)).toEqual({ kind: 'applied' });
    await purged();
    expect(await hotel.state(asking.transaction)).toBe('confirmed');
    await age(asking.transaction);
    await purged();
    expect(await hotel.state(asking.transaction)).toBeUndefined();
  });

  it('keeps what is reserved even where its record is gone', async () => {
    const { hotel } = companies;
    const asking = { transaction: newId(), input: await hotel.offer() };
    await hotel.ask('place.try', asking);
    await hotel.rows('delete from txn.reservation where transaction_id = $1', [asking.transaction]);
    await age(asking.transaction);
    await purged();
    expect(await hotel.state(asking.transaction)).toBe('tried');
  });
});
