/** Everything that is broken in the middle of transfers, and how it is mended. All transfers of a trial are held at their points by delays. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProtocolOutcome } from '../../bench/protocols/outcomes';
import type { Way } from '../../bench/protocols/ways';
import type { CrashpointName } from '../../src/protocol';
import type { CrashOrder } from '../../src/testing';
import { until } from '../end-to-end/fixture';
import { kill, startAgain } from './company';
import type { Company } from './company';
import { Transfers } from './transfers';
import type { Standing } from './transfers';

export interface Failure {
  /** In a table of the docs. */
  readonly title: string;
  readonly play: (company: Company) => Promise<Record<Way, ProtocolOutcome>>;
}

const delay = (at: CrashpointName, ms: number, passages = 1): CrashOrder[] =>
  Array.from({ length: passages }, (_, i) => ({ at, action: { kind: 'delay', ms }, passage: i + 1 }));

/** Held for as long as the trial needs; ended by a kill, or by nothing. */
const LONG_MS = 60_000;

/** In the local transaction of their part. A step of a saga and a prepare pass the same point. */
const beforeItsPart = (ms: number): CrashOrder[] => [
  ...delay('branch.logged-before-work', ms, 3),
  ...delay('try.logged-before-work', ms),
];
/** Their part is done, prepared or reserved, and nobody has been told. */
const afterItsPart = (ms: number): CrashOrder[] => [
  ...delay('branch.committed-before-report', ms),
  ...delay('two-phase.prepared-before-vote', ms, 2),
  ...delay('try.committed-before-vote', ms),
];

/** Three-phase commit takes longest to come to its point, so it starts first where the others are held for seconds only. */
const OTHERS: readonly Way[] = ['saga', '2pc', 'tcc'];
const DECIDING: readonly Way[] = ['2pc', '3pc', 'tcc'];

const isToCommit = ({ decision }: Standing): boolean => decision === 'commit';
const hasDoneItsPart = ({ done, prepared, tried }: Standing): boolean => done + prepared + tried > 0;

async function untilOpenAtSouth({ banks }: Company, transactions: number): Promise<void> {
  await until(`${transactions} local transactions are open at South Bank`, async () => {
    const { rowCount } = await banks['south-bank'].query(
      "select from pg_stat_activity where state = 'idle in transaction' and datname = current_database()",
    );
    return (rowCount ?? 0) >= transactions;
  });
}

export const FAILURES: readonly Failure[] = [
  {
    title: "a participant's worker is killed before it has done its part",
    async play(company) {
      const south = company.workers['south-bank'];
      await startAgain(south, beforeItsPart(LONG_MS));
      const transfers = new Transfers(company, 'before-its-part');
      await transfers.start();
      await transfers.until('North Bank has done its part', 'north-bank', hasDoneItsPart);
      await untilOpenAtSouth(company, 4);
      await transfers.strike(() => kill(south));
      await south.start();
      return transfers.settled();
    },
  },
  {
    title: "a participant's worker is killed after it has done its part, before it says so",
    async play(company) {
      const south = company.workers['south-bank'];
      await startAgain(south, afterItsPart(LONG_MS));
      const transfers = new Transfers(company, 'after-its-part');
      await transfers.start();
      for (const bank of ['north-bank', 'south-bank'] as const)
        await transfers.until(`${bank} has done its part`, bank, hasDoneItsPart);
      await transfers.strike(() => kill(south));
      await south.start();
      return transfers.settled();
    },
  },
  {
    title: "the coordinator's worker is killed in the middle",
    async play(company) {
      const { coordinator } = company.workers;
      const { transfers, goOn } = await withoutSouth(company, 'coordinator-killed');
      await transfers.strike(() => kill(coordinator));
      await Promise.all([coordinator.start(), goOn()]);
      return transfers.settled();
    },
  },
  {
    title: 'the coordinator is terminated while participants vote',
    async play(company) {
      const { transfers, goOn } = await withoutSouth(company, 'terminated-voting');
      await transfers.strike(() => transfers.terminate());
      await goOn();
      return transfers.settled();
    },
  },
  {
    title: 'the coordinator is terminated when all have done their part, and nothing is decided',
    async play(company) {
      const { 'north-bank': north, 'south-bank': south } = company.workers;
      await Promise.all([
        // Less than the coordinator waits for it.
        startAgain(north, delay('three-phase.pre-committed-before-ack', 3_500)),
        startAgain(
          south,
          afterItsPart(LONG_MS).filter(({ passage }) => passage === 1),
        ),
      ]);
      const transfers = new Transfers(company, 'terminated-undecided');
      await transfers.start(OTHERS);
      await transfers.until('South Bank has done its part', 'south-bank', hasDoneItsPart, OTHERS);
      await transfers.until('North Bank has done its part', 'north-bank', hasDoneItsPart, OTHERS);
      // The second one to prepare at South Bank, so it votes.
      await transfers.start(['3pc']);
      await until('all know that all can commit', async () => (await preCommitted(company)) === 2);
      await transfers.strike(() => transfers.terminate());
      return transfers.settled();
    },
  },
  {
    title: 'the coordinator is terminated after the decision',
    async play(company) {
      const { 'north-bank': north, 'south-bank': south } = company.workers;
      await Promise.all([
        startAgain(north, delay('two-phase.decided-before-finish', LONG_MS, 3)),
        startAgain(south, delay('branch.committed-before-report', LONG_MS)),
      ]);
      const transfers = new Transfers(company, 'terminated-decided');
      await transfers.start();
      await transfers.until('it is decided', 'north-bank', isToCommit, DECIDING);
      await transfers.until('the saga has done all', 'south-bank', hasDoneItsPart, ['saga']);
      await transfers.strike(() => transfers.terminate());
      return transfers.settled();
    },
  },
  {
    title: "a participant's worker is killed when all is decided, before it hears of that",
    async play(company) {
      const { 'north-bank': north, 'south-bank': south } = company.workers;
      await Promise.all([startAgain(north, delay('two-phase.decided-before-finish', 3_000, 3)), startAgain(south)]);
      const transfers = new Transfers(company, 'decided-unheard');
      await transfers.start(['3pc']);
      await until('all know that all can commit', async () => (await preCommitted(company)) === 2);
      await transfers.start(['2pc', 'tcc']);
      await transfers.until('it is decided', 'north-bank', isToCommit, DECIDING);
      await transfers.strike(async () => {
        await kill(south);
        await transfers.start(['saga']);
        await transfers.until('North Bank has booked', 'north-bank', ({ net }) => net !== 0);
      });
      await south.start();
      return transfers.settled();
    },
  },
  {
    title: "a participant's database crashes in the middle, and comes back",
    async play(company) {
      const { b } = company.stack.postgres;
      // Shorter than PostgreSQL lets a transaction be idle.
      await Promise.all([
        startAgain(company.workers['north-bank']),
        startAgain(company.workers['south-bank'], beforeItsPart(5_000)),
      ]);
      const transfers = new Transfers(company, 'database-away');
      await transfers.start(['3pc']);
      await untilOpenAtSouth(company, 1);
      await transfers.start(OTHERS);
      await transfers.until('North Bank has done its part', 'north-bank', hasDoneItsPart);
      await untilOpenAtSouth(company, 4);
      await transfers.strike(() => b.kill());
      await b.restart();
      return transfers.settled();
    },
  },
  {
    title:
      "the first participant's database, which has the register, is away for 4 seconds when all have done their part",
    async play(company) {
      const { a } = company.stack.postgres;
      await startAgain(company.workers['south-bank'], afterItsPart(2_000));
      const transfers = new Transfers(company, 'register-away');
      await transfers.start(['3pc']);
      await transfers.until('South Bank has done its part', 'south-bank', hasDoneItsPart, ['3pc']);
      await transfers.start(OTHERS);
      for (const bank of ['north-bank', 'south-bank'] as const)
        await transfers.until(`${bank} has done its part`, bank, hasDoneItsPart);
      await transfers.strike(async () => {
        await a.kill();
        await sleep(4_000);
      });
      await a.restart();
      return transfers.settled();
    },
  },
  {
    title: 'one participant refuses',
    async play(company) {
      const { transfers, goOn } = await withoutSouth(company, 'refused', 'nobody');
      await transfers.strike(async () => undefined);
      await goOn();
      transfers.countFromNow();
      return transfers.settled();
    },
  },
];

/** Transfers whose first half is done, and South Bank is not there to do the other. */
async function withoutSouth(company: Company, name: string, to?: string) {
  const south = company.workers['south-bank'];
  await kill(south);
  const transfers = new Transfers(company, name, to);
  await transfers.start();
  await transfers.until('North Bank has done its part', 'north-bank', hasDoneItsPart);
  return { transfers, goOn: () => south.start() };
}

async function preCommitted({ banks }: Company): Promise<number> {
  const counts = await Promise.all(
    Object.values(banks).map(async (bank) => {
      const { rowCount } = await bank.query(
        'select from txn.preparation p join pg_prepared_xacts x using (gid) where p.pre_committed_at is not null',
      );
      return rowCount ?? 0;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
