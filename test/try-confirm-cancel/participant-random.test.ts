/**
 * Many travellers at once, at two companies with little to offer: each tries, changes its mind, comes twice, or is late. At every
 * moment what was reserved is confirmed, cancelled or pending, nothing is sold twice, and nothing stays behind.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { generator, seedOf } from '../property/seed';
import { newId, useCompanies } from './companies';
import type { Company } from './companies';

const companies = useCompanies();
const TRAVELLERS = 200;
const CAPACITY = 150;

interface Told {
  readonly transaction: string;
  readonly decision: 'commit' | 'abort';
  readonly quantity: number;
}

it('what is reserved is confirmed, cancelled or pending, at every moment', async () => {
  const random = generator(seedOf('travellers at once'));
  const { airline, hotel } = companies;
  const seats = (await airline.offer(CAPACITY)).offer;
  const rooms = (await hotel.offer(CAPACITY)).offer;
  const told: Told[] = [];
  let looks = 0;
  let running = true;
  const looking = (async () => {
    while (running) {
      for (const [company, offer] of [
        [airline, seats],
        [hotel, rooms],
      ] as const) {
        const [available = NaN, pending = NaN, booked = NaN] = await company.places(offer);
        expect(Math.min(available, pending, booked)).toBeGreaterThanOrEqual(0);
        expect(available + pending + booked).toBe(CAPACITY);
        await company.expectSound();
        looks++;
      }
      await sleep(1);
    }
  })();
  const travel = async (): Promise<void> => {
    const transaction = newId();
    const quantity = 1 + Math.floor(random() * 3);
    const at = (company: Company, offer: string) => (question: string, more: object) =>
      company.insist(question, { transaction, input: { offer, quantity }, ...more });
    const [fly, sleepAt] = [at(airline, seats), at(hotel, rooms)];
    const [first, second, changesMind, late] = [random(), random(), random() < 0.3, random() < 0.2];
    await sleep(first * 300);
    const votes = (await Promise.all([fly('place.try', {}), sleepAt('place.try', {})])) as { vote: string }[];
    if (second < 0.3) await fly('place.try', {}); // Delivered twice.
    const propose = votes.every(({ vote }) => vote === 'commit') && !changesMind ? 'commit' : 'abort';
    await sleep(second * 100);
    const { decision } = (await fly('place.decide', { propose })) as { decision: 'commit' | 'abort' };
    expect(decision).toBe(propose);
    const follow = decision === 'commit' ? 'place.confirm' : 'place.cancel';
    // The first one too: it may have decided and not followed.
    await Promise.all([fly(follow, {}), sleepAt(follow, {}), second < 0.5 ? sleepAt(follow, {}) : undefined]);
    if (late) expect(await sleepAt('place.try', {})).toMatchObject({ vote: decision });
    told.push({ transaction, decision, quantity });
  };
  await Promise.all(Array.from({ length: TRAVELLERS }, travel));
  running = false;
  await looking;

  const confirmed = told.filter(({ decision }) => decision === 'commit');
  const sold = confirmed.reduce((sum, { quantity }) => sum + quantity, 0);
  expect(confirmed.length).toBeGreaterThan(0);
  expect(confirmed.length).toBeLessThan(TRAVELLERS);
  for (const [company, offer] of [
    [airline, seats],
    [hotel, rooms],
  ] as const) {
    expect(await company.places(offer)).toEqual([CAPACITY - sold, 0, sold]);
    expect(await company.rows('select * from txn.reservation')).toEqual([]);
    await company.expectSound();
  }
  expect(looks).toBeGreaterThan(4);
  process.stdout.write(
    `${TRAVELLERS} travellers, ${confirmed.length} confirmed, ${sold} places sold, ${looks} looks\n`,
  );
}, 60_000);
