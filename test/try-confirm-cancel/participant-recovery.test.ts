/** A reservation whose coordinator is gone: recovery sees it, however long it was meant to be held, and tells only what is so. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { defineParticipant, operation, participantActivities } from 'temporal-txn/participant';
import type { Tx } from 'temporal-txn/participant';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { travel } from '../../activities/travel/operations';
import { newId, useCompanies } from './companies';

const companies = useCompanies();

const overdue = async (): Promise<readonly { readonly transaction: string; readonly namespaceId?: string }[]> => {
  const watching = { transaction: 'none', graceMs: 0, forMs: 0, everyMs: 1, known: [] };
  const found = (await companies.hotel.ask('recovery.watch', watching)) as {
    readonly reservations: readonly { readonly transaction: string; readonly namespaceId?: string }[];
  };
  return found.reservations;
};

const settle = (transaction: string, decision: 'commit' | 'abort'): Promise<unknown> =>
  companies.hotel.ask('recovery.settleReservation', { transaction, branch: 'place', decision });

const tried = async () => {
  const asking = { transaction: newId(), input: await companies.hotel.offer() };
  await companies.hotel.ask('place.try', asking);
  return asking;
};

describe('a look at what is reserved', () => {
  it('is not stopped by a hold that is longer than any calendar', async () => {
    const { hotel } = companies;
    const [forgotten, forEver] = [await tried(), { transaction: newId(), input: await hotel.offer() }];
    await hotel.ask('place.try', { ...forEver, holdMs: Number.MAX_SAFE_INTEGER });
    const seen = (await overdue()).map(({ transaction }) => transaction);
    expect(seen).toContain(forgotten.transaction);
    expect(seen).not.toContain(forEver.transaction);
  });

  it('sees what was held once the hold is over, and not before', async () => {
    const { hotel } = companies;
    const asking = { transaction: newId(), input: await hotel.offer() };
    await hotel.ask('place.try', { ...asking, holdMs: 60_000 });
    const isSeen = async () => (await overdue()).some(({ transaction }) => transaction === asking.transaction);
    expect(await isSeen()).toBe(false);
    const age = `update txn.reservation set created_at = created_at - interval '61 seconds' where transaction_id = $1`;
    await hotel.rows(age, [asking.transaction]);
    expect(await isSeen()).toBe(true);
  });

  it('knows in which Temporal it was asked for (O6)', async () => {
    const { hotel } = companies;
    const activities = participantActivities(travel, { pool: hotel.pool, namespaceId: () => 'an-id' });
    const request = { transaction: newId(), branch: 'place', input: await hotel.offer(), register: 'hotel' };
    await new MockActivityEnvironment(
      { taskQueue: hotel.name, startToCloseTimeoutMs: 9_000 },
      { logger: new DefaultLogger('ERROR') },
    ).run(activities['place.try'] as (request: object) => Promise<unknown>, request); // Cast: as Temporal calls it.
    const found = (await overdue()).find(({ transaction }) => transaction === request.transaction);
    expect(found).toMatchObject({ namespaceId: 'an-id' });
  });

  it('changes nothing, whatever the age: only a decision ends a reservation', async () => {
    const { hotel } = companies;
    const { transaction, input } = await tried();
    await hotel.rows(`update txn.reservation set created_at = created_at - interval '10 years'`);
    await overdue();
    expect(await hotel.state(transaction)).toBe('tried');
    expect(await hotel.places(input.offer)).toEqual([0, 1, 0]);
  });
});

describe('a reservation that has ended before recovery comes', () => {
  it.each([
    ['confirm', 'commit'],
    ['cancel', 'abort'],
  ] as const)('by %s is settled for %s', async (how, decision) => {
    const asking = await tried();
    await companies.hotel.ask(`place.${how}`, asking);
    expect(await settle(asking.transaction, decision)).toEqual({ kind: 'applied' });
  });

  it.each([
    ['confirm', 'abort', 'commit'],
    ['cancel', 'commit', 'abort'],
  ] as const)('by %s is a heuristic for %s', async (how, decision, took) => {
    const asking = await tried();
    await companies.hotel.ask(`place.${how}`, asking);
    expect(await settle(asking.transaction, decision)).toMatchObject({ kind: 'heuristic', took });
  });

  it('without a trace is lost for commit, and nothing is left to cancel', async () => {
    expect(await settle(newId(), 'commit')).toMatchObject({ kind: 'lost' });
    expect(await settle(newId(), 'abort')).toEqual({ kind: 'applied' });
  });

  it('is not told as settled while it stands: without its record it is asked for again', async () => {
    const { hotel } = companies;
    const { transaction } = await tried();
    await hotel.rows('delete from txn.reservation where transaction_id = $1', [transaction]);
    for (const decision of ['commit', 'abort'] as const)
      await expect(settle(transaction, decision)).rejects.toMatchObject({ nonRetryable: false, type: 'InProgress' });
    expect(await hotel.state(transaction)).toBe('tried');
  });
});

describe('a reservation without an input', () => {
  const move = (offer: string, from: string, to: string) => async (tx: Tx) =>
    void (await tx.query(`update offer set ${from} = ${from} - 1, ${to} = ${to} + 1 where id = $1`, [offer]));

  it.each([
    ['has none', 'abort', z.void(), [1, 0, 0]],
    ['has none', 'commit', z.void(), [0, 0, 1]],
    ['may have one', 'abort', z.object({ wish: z.string() }).optional(), [1, 0, 0]],
    ['may have any', 'abort', z.unknown(), [1, 0, 0]],
  ] as const)('is ended as decided where the operation %s: %s', async (_, decision, input, places) => {
    const { hotel } = companies;
    const { offer } = await hotel.offer();
    const usual = operation({
      input,
      try: move(offer, 'available', 'pending'),
      confirm: move(offer, 'pending', 'booked'),
      cancel: move(offer, 'pending', 'available'),
    });
    const activities = participantActivities(defineParticipant('travel', { usual }), { pool: hotel.pool });
    const ask = (question: string, request: object): Promise<unknown> =>
      new MockActivityEnvironment(
        { taskQueue: hotel.name, startToCloseTimeoutMs: 9_000 },
        { logger: new DefaultLogger('ERROR') },
      ).run(activities[question] as (request: object) => Promise<unknown>, request); // Cast: as Temporal calls it.
    const key = { transaction: newId(), branch: 'place' };
    expect(await ask('usual.try', { ...key, register: 'airline' })).toMatchObject({ vote: 'commit' });
    expect(await ask('recovery.settleReservation', { ...key, decision })).toEqual({ kind: 'applied' });
    expect(await hotel.places(offer)).toEqual(places);
    expect(await hotel.reservations(key.transaction)).toBe(0);
  });
});

it('an operation that this worker does not have is named, and the reservation waits', async () => {
  const { hotel } = companies;
  const { transaction } = await tried();
  await hotel.rows(`update txn.reservation set operation = 'sauna' where transaction_id = $1`, [transaction]);
  await expect(settle(transaction, 'abort')).rejects.toMatchObject({
    nonRetryable: false,
    message: expect.stringMatching(/Nothing was changed: .* sauna, which this worker does not have\. Deploy/),
  });
  expect(await hotel.reservations(transaction)).toBe(1);
});
