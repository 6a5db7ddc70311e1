/**
 * A connection that is lost at every statement of a try, a confirmation, a cancellation and a decision, before the statement or
 * after it: the question is asked again, and what is there at the end is what one undisturbed run leaves.
 */
import { PostgresFaultProxy } from 'temporal-txn/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quietPool } from '../quiet-pool';
import { patternOf, spotsIn } from '../fault-matrix/statements';
import { Company, newId, useCompanies } from './companies';
import type { Asking } from './companies';

const companies = useCompanies();
let proxy: PostgresFaultProxy;
/** The airline, as a process that reaches its database through that network. */
let airline: Company;
let close: () => Promise<void>;

beforeAll(async () => {
  proxy = await PostgresFaultProxy.start({ target: companies.server });
  const asking = quietPool({ connectionString: proxy.url(companies.airline.url), max: 4 });
  airline = new Company('airline', companies.airline.pool, companies.airline.url, asking);
  close = async () => {
    await proxy.stop();
    await asking.end();
  };
});
afterAll(() => close?.());

const CASES = [
  { question: 'place.try', before: 'nothing', state: 'tried', places: [0, 1, 0] },
  { question: 'place.confirm', before: 'tried', state: 'confirmed', places: [0, 0, 1] },
  { question: 'place.cancel', before: 'tried', state: 'cancelled', places: [1, 0, 0] },
  { question: 'place.cancel', before: 'nothing', state: 'fenced', places: [1, 0, 0] },
  { question: 'place.decide', before: 'tried', state: 'confirmed', places: [0, 0, 1], propose: 'commit' },
  { question: 'place.decide', before: 'tried', state: 'cancelled', places: [1, 0, 0], propose: 'abort' },
] as const;

describe.each(CASES)('$question after $before, $state', ({ question, before, state, places, ...more }) => {
  async function prepare(): Promise<Asking & { readonly input: { readonly offer: string } }> {
    const asking = { transaction: newId(), input: await companies.airline.offer(), ...more };
    if (before === 'tried') await companies.airline.ask('place.try', asking);
    return asking;
  }

  async function expectSettled(asking: Awaited<ReturnType<typeof prepare>>, what: string): Promise<void> {
    const { transaction, input } = asking;
    expect(await airline.state(transaction), what).toBe(state);
    expect(await airline.places(input.offer), what).toEqual(places);
    expect(await airline.reservations(transaction), what).toBe(state === 'tried' ? 1 : 0);
  }

  it('survives the loss of its connection at each statement', async () => {
    // The first one opens a connection, whose own statements are not the point.
    await airline.ask(question, await prepare());
    proxy.clear();
    const undisturbed = await prepare();
    await airline.ask(question, undisturbed);
    await expectSettled(undisturbed, 'undisturbed');
    const spots = spotsIn(proxy.seen, question, undisturbed.transaction);
    expect(spots.length).toBeGreaterThan(2);
    expect(spots.at(-1)?.statement).toMatch(/^commit$/i);
    let tried = 0;
    for (const { statement, occurrence: passage } of spots) {
      for (const kind of ['kill-before', 'kill-after'] as const) {
        const asking = await prepare();
        const fault = proxy.inject({ statement: patternOf(statement), passage, fault: { kind } });
        const answer = await airline.insist(question, asking);
        // Decided and not followed: it is asked like the others then, as its coordinator would.
        if (question === 'place.decide' && !('ack' in (answer as object)))
          await airline.insist(`place.${state === 'confirmed' ? 'confirm' : 'cancel'}`, asking);
        expect(fault.count, `${kind} ${statement}`).toBeGreaterThan(0);
        await fault.over;
        proxy.heal();
        await expectSettled(asking, `${kind} ${statement}`);
        tried++;
      }
    }
    expect(tried).toBe(spots.length * 2);
    await airline.expectSound();
  }, 60_000);
});

it('a refusal that another attempt has overtaken is not told', async () => {
  const asking = { transaction: newId(), input: await companies.airline.offer(0) };
  // The first attempt was refused and rolled back; before it can store that, there is a place, and the second one has it.
  const overtaken = proxy.inject({
    statement: /insert into txn\.branch/,
    passage: 2,
    fault: {
      kind: 'call',
      call: async () => {
        await companies.airline.rows('update offer set capacity = 1, available = 1 where id = $1', [
          asking.input.offer,
        ]);
        expect(await companies.airline.ask('place.try', asking)).toMatchObject({ vote: 'commit' });
      },
    },
  });
  expect(await airline.ask('place.try', asking)).toMatchObject({ vote: 'commit' });
  expect(overtaken.count).toBeGreaterThan(0);
  expect(await airline.state(asking.transaction)).toBe('tried');
});
