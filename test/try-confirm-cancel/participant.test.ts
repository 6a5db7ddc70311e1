/** One reservation: what each question answers in each state, and that none of them does anything twice. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { newId, stubborn, useCompanies } from './companies';

const companies = useCompanies();

describe('a try', () => {
  it('reserves, votes, and keeps what its end will need', async () => {
    const { hotel } = companies;
    const [transaction, input] = [newId(), await hotel.offer()];
    const vote = await hotel.ask('place.try', { transaction, input, holdMs: 5_000 });
    expect(vote).toEqual({ vote: 'commit', result: { booking: expect.any(String) } });
    expect(await hotel.places(input.offer)).toEqual([0, 1, 0]);
    expect(await hotel.state(transaction)).toBe('tried');
    expect(await hotel.rows('select * from txn.reservation where transaction_id = $1', [transaction])).toMatchObject([
      { operation: 'place', input, register: 'airline', participant: 'hotel', hold_ms: '5000' },
    ]);
    expect(await hotel.ask('place.try', { transaction, input, attempt: 2 })).toEqual(vote);
    expect(await hotel.places(input.offer)).toEqual([0, 1, 0]);
  });

  it('that is refused stays refused, whatever becomes free', async () => {
    const { hotel } = companies;
    const [transaction, input] = [newId(), await hotel.offer(0)];
    const refused = { vote: 'abort', reason: { code: 'sold-out' } };
    expect(await hotel.ask('place.try', { transaction, input })).toMatchObject(refused);
    await hotel.rows('update offer set capacity = 5, available = 5 where id = $1', [input.offer]);
    expect(await hotel.ask('place.try', { transaction, input, attempt: 2 })).toMatchObject(refused);
    expect(await hotel.state(transaction)).toBe('refused');
    expect(await hotel.places(input.offer)).toEqual([5, 0, 0]);
    expect(await hotel.ask('place.cancel', { transaction, input })).toEqual({ kind: 'applied' });
    expect(await hotel.ask('place.confirm', { transaction, input })).toMatchObject({
      kind: 'heuristic',
      took: 'abort',
    });
  });

  it('with an input that its schema does not know is refused for good', async () => {
    const { hotel } = companies;
    const transaction = newId();
    expect(await hotel.ask('place.try', { transaction, input: { offer: 7 } })).toMatchObject({
      vote: 'abort',
      reason: { code: 'invalid-input' },
    });
    expect(await hotel.state(transaction)).toBe('refused');
  });

  it('under a key with another input is refused, and leaves the first one alone', async () => {
    const { hotel } = companies;
    const [transaction, input] = [newId(), await hotel.offer(3)];
    await hotel.ask('place.try', { transaction, input });
    const other = { ...input, quantity: 2 };
    expect(await hotel.ask('place.try', { transaction, input: other })).toMatchObject({
      vote: 'abort',
      reason: { code: 'input-mismatch' },
    });
    for (const question of ['place.confirm', 'place.cancel'])
      expect(await hotel.ask(question, { transaction, input: other })).toMatchObject({ kind: 'foreign' });
    expect(await hotel.places(input.offer)).toEqual([2, 1, 0]);
  });

  it('at the primary is refused once the transaction is decided', async () => {
    const { airline } = companies;
    const [transaction, input] = [newId(), await airline.offer()];
    await airline.ask('recovery.decide', { transaction, propose: 'abort' });
    expect(await airline.ask('place.try', { transaction, input })).toMatchObject({
      vote: 'abort',
      reason: { code: 'decided-before' },
    });
    expect(await airline.places(input.offer)).toEqual([1, 0, 0]);
  });

  it('whose attempt was given up for dead is not repeated beside it: the second one waits for the first', async () => {
    const { hotel } = companies;
    const [transaction, input] = [newId(), await hotel.offer(20)];
    const votes = await Promise.all(
      Array.from({ length: 10 }, () => hotel.insist('place.try', { transaction, input })),
    );
    expect(new Set(votes.map((vote) => JSON.stringify(vote))).size).toBe(1);
    expect(await hotel.places(input.offer)).toEqual([19, 1, 0]);
  });
});

describe.each([
  ['confirm', 'confirmed', [0, 0, 1]],
  ['cancel', 'cancelled', [1, 0, 0]],
] as const)('to %s', (how, state, places) => {
  it('settles a reservation once, and leaves nothing of it', async () => {
    const { hotel } = companies;
    const [transaction, input] = [newId(), await hotel.offer()];
    const { result } = (await hotel.ask('place.try', { transaction, input })) as { result: unknown };
    expect(await hotel.ask(`place.${how}`, { transaction, input })).toEqual({ kind: 'applied' });
    const again = await Promise.all(
      Array.from({ length: 5 }, () => hotel.insist(`place.${how}`, { transaction, input, wantsResult: true })),
    );
    for (const ack of again) expect(ack).toEqual({ kind: 'applied', ...(how === 'confirm' ? { result } : {}) });
    expect(await hotel.state(transaction)).toBe(state);
    expect(await hotel.places(input.offer)).toEqual(places);
    expect(await hotel.reservations(transaction)).toBe(0);
  });

  it('what was settled the other way is told, and changes nothing', async () => {
    const { hotel } = companies;
    const [transaction, input] = [newId(), await hotel.offer()];
    await hotel.ask('place.try', { transaction, input });
    await hotel.ask(`place.${how}`, { transaction, input });
    const other = how === 'confirm' ? 'cancel' : 'confirm';
    expect(await hotel.ask(`place.${other}`, { transaction, input })).toMatchObject({
      kind: 'heuristic',
      took: how === 'confirm' ? 'commit' : 'abort',
    });
    expect(await hotel.places(input.offer)).toEqual(places);
  });

  it('is tried again when the operation says no, and says which one and what to do', async () => {
    const { hotel } = companies;
    const [transaction, input] = [newId(), { offer: 'X' }];
    onTestFinished(() => void (stubborn.refuses = false));
    await hotel.ask('grumpy.try', { transaction, input });
    stubborn.refuses = true;
    await expect(hotel.ask(`grumpy.${how}`, { transaction, input })).rejects.toMatchObject({
      nonRetryable: false,
      message: expect.stringMatching(new RegExp(`Nothing was changed: ${how} of grumpy .*mood.* Mend the operation`)),
    });
    expect(await hotel.state(transaction)).toBe('tried');
    expect(await hotel.reservations(transaction)).toBe(1);
    // Where it has the register, the others hear the decision all the same.
    const decision = how === 'confirm' ? 'commit' : 'abort';
    const asked = { transaction, input, register: 'hotel', propose: decision };
    expect(await hotel.ask('grumpy.decide', asked)).toEqual({ decision, by: 'coordinator' });
    expect(await hotel.state(transaction)).toBe('tried');
    stubborn.refuses = false;
    expect(await hotel.ask(`grumpy.${how}`, { transaction, input })).toEqual({ kind: 'applied' });
    expect(await hotel.state(transaction)).toBe(state);
  });
});

describe('out of order', () => {
  it('a cancellation that comes first does nothing, and the try that comes late is refused', async () => {
    const { hotel } = companies;
    const [transaction, input] = [newId(), await hotel.offer()];
    expect(await hotel.ask('place.cancel', { transaction, input })).toEqual({ kind: 'applied' });
    expect(await hotel.state(transaction)).toBe('fenced');
    expect(await hotel.ask('place.try', { transaction, input })).toMatchObject({
      vote: 'abort',
      reason: { code: 'fenced' },
    });
    expect(await hotel.ask('place.cancel', { transaction, input })).toEqual({ kind: 'applied' });
    expect(await hotel.places(input.offer)).toEqual([1, 0, 0]);
  });

  it('a confirmation of what was never tried is lost, and reserves nothing', async () => {
    const { hotel } = companies;
    const [transaction, input] = [newId(), await hotel.offer()];
    expect(await hotel.ask('place.confirm', { transaction, input })).toMatchObject({ kind: 'lost' });
    expect(await hotel.places(input.offer)).toEqual([1, 0, 0]);
  });

  it.each([
    ['try', 'cancel'],
    ['confirm', 'cancel'],
    ['confirm', 'confirm'],
    ['cancel', 'cancel'],
    ['try', 'try'],
  ] as const)('%s and %s at the same moment, 20 times, come to one transition', async (one, other) => {
    const { hotel } = companies;
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const [transaction, input] = [newId(), await hotel.offer()];
        if (one !== 'try') await hotel.ask('place.try', { transaction, input });
        await Promise.all([one, other].map((question) => hotel.insist(`place.${question}`, { transaction, input })));
        const [available, pending, booked] = await hotel.places(input.offer);
        const state = await hotel.state(transaction);
        const expected = { tried: [0, 1, 0], confirmed: [0, 0, 1], cancelled: [1, 0, 0], fenced: [1, 0, 0] };
        expect([available, pending, booked], state).toEqual(expected[state as keyof typeof expected]);
        expect(await hotel.reservations(transaction)).toBe(state === 'tried' ? 1 : 0);
        if (one === 'confirm') expect(['confirmed', 'cancelled']).toContain(state);
        if (one === 'try' && other === 'cancel') expect(['cancelled', 'fenced']).toContain(state);
      }),
    );
    await hotel.expectSound();
  });
});

describe('the primary', () => {
  it('decides and settles its own reservation in one go, and again alike', async () => {
    const { airline } = companies;
    const [transaction, input] = [newId(), await airline.offer()];
    await airline.ask('place.try', { transaction, input });
    const asking = { transaction, input, propose: 'commit' };
    expect(await airline.ask('place.decide', asking)).toMatchObject({ decision: 'commit', ack: { kind: 'applied' } });
    expect(await airline.ask('place.decide', { ...asking, propose: 'abort' })).toMatchObject({
      decision: 'commit',
      ack: { kind: 'applied' },
    });
    expect(await airline.places(input.offer)).toEqual([0, 0, 1]);
  });

  it('obeys the register, whatever is proposed', async () => {
    const { airline } = companies;
    const [transaction, input] = [newId(), await airline.offer()];
    await airline.ask('place.try', { transaction, input });
    await airline.ask('recovery.decide', { transaction, propose: 'abort' });
    expect(await airline.ask('place.decide', { transaction, input, propose: 'commit' })).toMatchObject({
      decision: 'abort',
      ack: { kind: 'applied' },
    });
    expect(await airline.places(input.offer)).toEqual([1, 0, 0]);
  });
});

describe('what reserves', () => {
  it('has no other questions than those of its own', async () => {
    const names = Object.keys(companies.hotel.activities).filter((name) => name.startsWith('place'));
    expect(names.sort()).toEqual(['place.cancel', 'place.confirm', 'place.decide', 'place.try']);
  });
});

describe('recovery', () => {
  const overdue = async (graceMs: number) => {
    const { hotel } = companies;
    const watching = { transaction: 'none', graceMs, forMs: 0, everyMs: 1, known: [] };
    const found = (await hotel.ask('recovery.watch', watching)) as {
      reservations: readonly { transaction: string; branch: string; register: string }[];
    };
    return found.reservations;
  };

  it('sees a reservation that nobody ends, past its hold, and settles it without its coordinator', async () => {
    const { hotel } = companies;
    const [kept, forgotten, input] = [newId(), newId(), await hotel.offer(2)];
    await hotel.ask('place.try', { transaction: kept, input, holdMs: 60_000 });
    await hotel.ask('place.try', { transaction: forgotten, input });
    const seen = await overdue(0);
    expect(seen.map(({ transaction }) => transaction)).toContain(forgotten);
    expect(seen.map(({ transaction }) => transaction)).not.toContain(kept);
    expect((await overdue(60_000)).map(({ transaction }) => transaction)).not.toContain(forgotten);
    const settle = { transaction: forgotten, branch: 'place', decision: 'abort' };
    expect(await hotel.ask('recovery.settleReservation', settle)).toEqual({ kind: 'applied' });
    expect(await hotel.ask('recovery.settleReservation', settle)).toEqual({ kind: 'applied' });
    expect(await hotel.state(forgotten)).toBe('cancelled');
    expect(await hotel.places(input.offer)).toEqual([1, 1, 0]);
    await hotel.ask('recovery.settleReservation', { transaction: kept, branch: 'place', decision: 'commit' });
    expect(await hotel.places(input.offer)).toEqual([1, 0, 1]);
  });
});
