/**
 * Three-phase commit, try-confirm-cancel, and a saga with both kinds of steps in it, in processes of their own: killed at every
 * point that they have, and left alone by their coordinators. Money and places add up each time, and nothing stays behind.
 */
import { connectTemporal, TransactionAborted, TransactionInterrupted } from 'temporal-txn/client';
import type { TransactionHandle } from 'temporal-txn/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readBooks } from '../../demo/books';
import type { Books } from '../../demo/books';
import type { CrashpointName } from '../../src/protocol';
import type { Transfer } from '../../workflows/bank-transfer';
import type { Trip } from '../../workflows/book-trip';
import type { TripSale } from '../../workflows/sell-trip';
import { arm, countOf, entriesOf, expectSoundBooks, newId, transferOf, until, useShop } from './fixture';
import { some } from '../depth';
import { armAll, decisionsOf, expectObeyed, parties, untilNothingPrepared } from './two-phase-fixture';

const shop = useShop({ open: ['north-bank', 'south-bank', 'audit', 'airline', 'hotel', 'car-rental'] });
const COMPANIES = ['airline', 'hotel', 'car-rental'] as const;
type Company = (typeof COMPANIES)[number];
type Bank = 'north-bank' | 'south-bank';
const IN_THREE_PHASES = 'transferMoneyInThreePhases';
const LISBON: Trip = { flight: 'LIS-900', room: 'DOUBLE', car: 'COMPACT', travellers: 2 };

let before: Books;
beforeEach(async () => {
  before = await readBooks(shop());
});
afterEach(async () => {
  await untilNothingPrepared(shop());
  await expectSoundBooks(shop(), before);
});

/** What the three companies hold of a trip. */
async function statesOf(id: string): Promise<string[]> {
  const all = await Promise.all(
    COMPANIES.map(async (company) => {
      const { rows } = await shop().databases[company].query<{ status: string }>(
        'select status from booking where transaction_id like $1 order by held_at',
        [`${id}%`],
      );
      return rows.map(({ status }) => `${company} ${status}`);
    }),
  );
  return all.flat();
}

const untilHeld = (id: string): Promise<void> =>
  until(`${id} is held`, async () => {
    const [report] = await shop().transactions.handle(id).reports();
    return report?.outcome === 'reserved';
  });

const everywhere = (status: string): string[] => COMPANIES.map((company) => `${company} ${status}`);

const KILLS: readonly [CrashpointName, Bank, CrashpointName, Company][] = [
  ['three-phase.pre-committed-before-ack', 'north-bank', 'two-phase.decided-before-finish', 'airline'],
  ['three-phase.pre-committed-before-ack', 'south-bank', 'confirm.before-commit', 'hotel'],
  ['two-phase.decided-before-finish', 'north-bank', 'confirm.committed-before-report', 'car-rental'],
  ['two-phase.committed-before-ack', 'south-bank', 'try.committed-before-vote', 'hotel'],
];

describe('killed, and started again', () => {
  const hold = async (id: string): Promise<TransactionHandle> => {
    const handle = await shop().transactions.start('bookTrip', { id, input: { ...LISBON, holdSeconds: 60 } });
    await untilHeld(id);
    return handle;
  };

  // A transfer and a trip at the same time: most of each is waiting for the one that is dead.
  it.each(some(KILLS, 1, 'services that are killed'))(
    'at %s %s, three-phase commit goes on; and at %s %s, a trip is booked once',
    async (inBank, bank, inTrip, company) => {
      const kill = (at: CrashpointName) => [{ at, action: { kind: 'kill' } as const }];
      const killing = await armAll(shop(), { [bank]: kill(inBank), [company]: kill(inTrip) });
      const [transfer, trip, input] = [newId('3pc-killed'), newId('trip-killed'), transferOf(500)];
      const moving = shop().transactions.execute(IN_THREE_PHASES, { id: transfer, input });
      const handle = await hold(trip);
      await shop().answerTrip(trip, true);
      await Promise.all([moving, handle.result()]);
      await killing.died;
      expect(killing.notes().join(' ')).toContain(inBank);
      expect(killing.notes().join(' ')).toContain(inTrip);
      expect(await expectObeyed(shop(), transfer, input)).toBe('commit');
      expect(await statesOf(trip)).toEqual(everywhere('CONFIRMED'));
    },
  );

  it('while it gives back what it holds, a company does that once', async () => {
    const kill = (at: CrashpointName) => [{ at, action: { kind: 'kill' } as const }];
    await armAll(shop(), { hotel: kill('cancel.before-commit'), airline: kill('cancel.committed-before-report') });
    const id = newId('trip-given-back');
    const handle = await hold(id);
    await shop().answerTrip(id, false);
    await expect(handle.result()).rejects.toThrow(TransactionAborted);
    expect(await statesOf(id)).toEqual(everywhere('CANCELLED'));
  });
});

describe('three-phase commit', () => {
  const isPreCommittedEverywhere = async (id: string): Promise<boolean> => {
    const sql = 'txn.preparation where transaction_id = $1 and pre_committed_at is not null';
    const counts = await Promise.all(parties.map((party) => countOf(shop(), party, sql, [id])));
    return counts.every((n) => n === 1);
  };

  /**
   * Does something to a transfer while all are pre-committed. The coordinator waits 2 seconds for their answers and then decides, which a
   * busy machine may let pass: then another transfer is tried.
   *
   * @param what says whether it came in time
   */
  async function whilePreCommitted(
    name: string,
    input: Transfer,
    what: (id: string) => Promise<boolean>,
  ): Promise<TransactionHandle> {
    for (let tries = 0; tries < 5; tries++) {
      await arm(shop(), 'north-bank', {
        at: 'three-phase.pre-committed-before-ack',
        action: { kind: 'delay', ms: 4_000 },
      });
      const id = newId(name);
      const handle = await shop().transactions.start(IN_THREE_PHASES, { id, input });
      let seen = false;
      await until(`${id} is pre-committed everywhere, or over`, async () => {
        seen = await isPreCommittedEverywhere(id);
        return seen || (await handle.status()) !== 'RUNNING';
      });
      if (seen && (await what(id))) return handle;
    }
    throw new Error('No transfer was met while all were pre-committed.');
  }

  it('goes on when the worker of the coordinators is killed while all are pre-committed', async () => {
    const input = transferOf(500);
    const handle = await whilePreCommitted('3pc-coordinator', input, async () => {
      await shop().workers.transactions.kill();
      return true;
    });
    await handle.result();
    expect(await expectObeyed(shop(), handle.id, input)).toBe('commit');
  });

  it('ends alike without its coordinator: all pre-committed, it commits; nobody, it aborts', async () => {
    const [known, unknown] = [transferOf(500), { ...transferOf(700), from: { bank: 'north-bank', account: 'carol' } }];
    const handle = await whilePreCommitted('3pc-terminated', known, async (id) => {
      // It may have ended in this moment, or its coordinator have decided.
      const terminated = await shop()
        .terminate(id)
        .then(
          () => true,
          () => false,
        );
      await untilNothingPrepared(shop());
      const [row] = await decisionsOf(shop(), 'north-bank', id);
      return terminated && row?.by !== 'coordinator';
    });
    const first = handle.id;
    await expect(handle.result()).rejects.toThrow(TransactionInterrupted);
    expect(await expectObeyed(shop(), first, known)).toBe('commit');
    const [row] = await decisionsOf(shop(), 'north-bank', first);
    expect(row?.by).toMatch(new RegExp(`^${first}#`));

    // Refused by the register's own bank: the others are left uncertain, and hear it from the register.
    const second = newId('3pc-refused');
    await expect(
      shop().transactions.execute(IN_THREE_PHASES, { id: second, input: { ...unknown, amount: 900_000 } }),
    ).rejects.toThrow(TransactionAborted);
    expect(await expectObeyed(shop(), second, known)).toBe('abort');
  });
});

describe('a trip', () => {
  const hold = (id: string, holdSeconds: number) =>
    shop().transactions.start('bookTrip', { id, input: { ...LISBON, holdSeconds } });

  it('whose workflow is terminated is given back by the recovery of each company, after its hold and not before', async () => {
    const id = newId('trip-terminated');
    await hold(id, 6);
    await untilHeld(id);
    await shop().terminate(id);
    await until(
      'all of it is given back',
      async () => !(await statesOf(id)).some((state) => state.endsWith('PENDING')),
    );
    // Recovery leaves all that is younger than 5 seconds alone, and this for as long as it is held besides.
    for (const company of COMPANIES)
      expect(
        await countOf(
          shop(),
          company,
          `txn.branch join booking using (transaction_id, branch_id)
            where transaction_id = $1 and ended_at > held_at + interval '10 seconds'`,
          [id],
        ),
        company,
      ).toBe(1);
    expect(await statesOf(id)).toEqual(everywhere('CANCELLED'));
  });

  it('whose workflow is terminated after the decision is confirmed by them', async () => {
    const id = newId('trip-decided');
    await arm(shop(), 'airline', { at: 'two-phase.decided-before-finish', action: { kind: 'delay', ms: 5_000 } });
    await hold(id, 4);
    await untilHeld(id);
    await shop().answerTrip(id, true);
    await until('it is decided', async () => {
      const { rowCount } = await shop().databases.airline.query('select from txn.decision where transaction_id = $1', [
        id,
      ]);
      return rowCount === 1;
    });
    await shop().terminate(id);
    await until('all of it is booked', async () => (await statesOf(id)).every((state) => state.endsWith('CONFIRMED')));
  });
});

describe('a trip that is sold', () => {
  const sale = (car: string): TripSale => ({
    trip: { ...LISBON, car },
    price: 1_500,
    currency: 'EUR',
    payer: { bank: 'north-bank', account: 'alice' },
    agency: { bank: 'south-bank', account: 'bob' },
  });

  it('is a saga whose steps are atomic of themselves, and says so in its reports', async () => {
    const id = newId('sold');
    await arm(shop(), 'hotel', { at: 'confirm.committed-before-report', action: { kind: 'kill' } });
    await shop().transactions.execute('sellTrip', { id, input: sale('COMPACT') });
    const reports = await shop().transactions.handle(id).reports();
    expect(reports.map(({ id: own, protocol, outcome }) => [own, protocol, outcome])).toEqual([
      [id, 'saga', 'committed'],
      [`${id}/1/1`, 'two-phase-commit', 'committed'],
      [`${id}/1/2`, 'try-confirm-cancel', 'committed'],
    ]);
    expect(await statesOf(id)).toEqual(everywhere('CONFIRMED'));
    expect(await entriesOf(shop(), `${id}/1/1`)).toEqual(['north-bank debit -1500', 'south-bank credit 1500']);
  });

  it('is paid back by another two-phase commit when there is no car', async () => {
    const id = newId('unsold');
    await expect(shop().transactions.execute('sellTrip', { id, input: sale('CABRIO') })).rejects.toMatchObject({
      name: 'TransactionCompensated',
    });
    const reports = await shop().transactions.handle(id).reports();
    expect(reports.map(({ protocol, outcome }) => [protocol, outcome])).toEqual([
      ['saga', 'compensated'],
      ['two-phase-commit', 'committed'],
      ['try-confirm-cancel', 'aborted'],
      ['two-phase-commit', 'committed'],
    ]);
    expect(await statesOf(id)).not.toContain('hotel CONFIRMED');
    expect((await entriesOf(shop(), `${id}/1/3`)).sort()).toEqual(['north-bank credit 1500', 'south-bank debit -1500']);
  });

  it('has in one event group what was asked for a branch, and in that of the step what was asked for all of it', async () => {
    const id = newId('grouped');
    await shop()
      .transactions.execute('sellTrip', { id, input: sale('CABRIO') })
      .catch(() => undefined);
    const groups = await eventGroupsOf(id);
    expect(groups.get(`${id}/1/1/north-bank.debit`)).toEqual(['debit.prepare', 'debit.decide']);
    expect(groups.get(`${id}/1/1/south-bank.credit`)).toEqual(['credit.prepare', 'credit.commit']);
    expect(groups.get(`${id}/1/2/hotel.place`)).toEqual(['place.try', 'place.cancel']);
    expect(groups.get(`${id}/1/3/south-bank.debit`)).toEqual(['debit.prepare', 'debit.decide']);
    const moved = ['credit.commit', 'credit.prepare', 'debit.decide', 'debit.prepare'];
    expect(groups.get(`${id}/payment`)?.sort()).toEqual([...moved, ...moved].sort());
  });
});

/** The types of the activities in each event group of a history. */
async function eventGroupsOf(id: string): Promise<Map<string, string[]>> {
  const { address, namespace } = shop().stack.temporal;
  const client = await connectTemporal({ address, namespace });
  try {
    const { events } = await client.workflow.getHandle(id).fetchHistory();
    const groups = new Map<string, string[]>();
    for (const { activityTaskScheduledEventAttributes: asked, eventGroupMarkers } of events ?? []) {
      // Other events may be in a group too: what asks for the end of an activity, where one takes its time.
      if (!asked) continue;
      for (const { label } of eventGroupMarkers ?? []) {
        const group = label?.id ?? '';
        groups.set(group, [...(groups.get(group) ?? []), asked.activityType?.name ?? '']);
      }
    }
    return groups;
  } finally {
    await client.connection.close();
  }
}
