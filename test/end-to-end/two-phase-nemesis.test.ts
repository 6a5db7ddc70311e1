/**
 * Transfers between two banks in both directions, by two-phase commit and as sagas on the same accounts, while somebody kills
 * workers, crashes databases and terminates coordinators at random.
 * TXN_SEED repeats a run's choices (not its timing), TXN_NEMESIS_SECONDS makes it longer.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { readBooks } from '../../demo/books';
import type { Shop, WorkerName } from '../../demo/shop';
import type { AccountRef, Transfer } from '../../workflows/bank-transfer';
import { CAMPAIGN, depth, isTurnOf } from '../depth';
import { branchesOf, expectAllOrNothing, expectSoundBooks, expectTransferOnce, newId, useShop } from './fixture';
import {
  ATOMICALLY,
  decisionsOf,
  endOfAny,
  expectObeyed,
  parties,
  preparedAt,
  secondsSince,
  untilNothingPrepared,
} from './two-phase-fixture';
import type { End } from './two-phase-fixture';
import { useWay, WAYS } from './ways';

const SEED = Number(process.env['TXN_SEED'] ?? randomInt(2 ** 31));
const SECONDS = Number(process.env['TXN_NEMESIS_SECONDS'] ?? depth({ sample: 12, campaign: 300 }));
const ATOMIC = Math.ceil(SECONDS * 1.5);
const SAGAS = Math.ceil(SECONDS * 0.5);
/** There are more. */
const FEWEST_CRASHES = SECONDS / 12;
/** After the last fault. */
const SETTLE_MS = 90_000;
/** So long after the last fault nothing is prepared any more, whoever died. */
const PREPARED_MS = 60_000;

/** Mulberry32. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const north: readonly AccountRef[] = ['alice', 'carol'].map((account) => ({ bank: 'north-bank', account }));
const south: readonly AccountRef[] = ['bob', 'dave'].map((account) => ({ bank: 'south-bank', account }));

interface Job {
  readonly id: string;
  readonly workflow: 'transferMoney' | typeof ATOMICALLY;
  readonly transfer: Transfer;
  /** The client did not hear that it had started the transaction, and starts it again. */
  readonly twice: boolean;
  /** What the client does when somebody terminates its coordinator. A saga is always resumed: nobody else finishes it. */
  readonly resumes: boolean;
}

/** @param index the first one of them goes to nobody, so that one is refused whatever the seed */
function anyJob(workflow: Job['workflow'], random: (below: number) => number, index: number): Job {
  const there = [north[random(2)]!, south[random(2)]!] as const;
  const [from, to] = random(2) === 0 ? there : ([there[1], there[0]] as const);
  // Carol and Dave have little: some of these are refused for lack of funds. One in ten goes to nobody.
  const nobody = random(10) === 0 || index === 0;
  return {
    id: newId(workflow === ATOMICALLY ? 'nemesis-2pc' : 'nemesis-saga'),
    workflow,
    transfer: { from, to: nobody ? { ...to, account: 'nobody' } : to, amount: 1 + random(2_000), currency: 'EUR' },
    twice: random(4) === 0,
    resumes: workflow === 'transferMoney' || random(2) === 0,
  };
}

/** What is known of transfers that do not end. */
async function transcriptOf(shop: Shop, ids: Iterable<string>): Promise<string> {
  const reports = [...ids].map(async (id) => {
    const handle = shop.transactions.handle(id);
    const report = await handle.reports().catch((error: unknown) => String(error));
    return `${id}: ${await handle.status()}: ${JSON.stringify(report)}`;
  });
  const prepared = (await preparedAt(shop)).map((one) => JSON.stringify(one));
  return ['still running:', ...(await Promise.all(reports)), 'prepared:', ...prepared].join('\n');
}

/** What the client of a transfer does until it knows how that ended, or has given up asking. */
async function pay(shop: Shop, { id, workflow, transfer, twice, resumes }: Job, running: Set<string>): Promise<End> {
  const { transactions } = shop;
  await transactions.start(workflow, { id, input: transfer });
  if (twice) await transactions.start(workflow, { id, input: transfer });
  for (;;) {
    running.add(id);
    const end = await endOfAny(shop, id, SECONDS * 1_000 + SETTLE_MS);
    running.delete(id);
    if (end !== 'terminated' || !resumes) return end;
    await transactions.resume(workflow, { id, input: transfer });
  }
}

const company = useShop({ open: ['north-bank', 'south-bank', 'audit'] });

// In groups `test/groups/nemesis.test.ts` does the like.
describe.skipIf(!isTurnOf('nemesis', 'two-phase commit')).each(CAMPAIGN ? WAYS : (['alone'] as const))('%s', (way) => {
  const shop = useWay(way, company);

  it(
    'every transfer is done once or not at all, at both banks alike, and nothing stays prepared',
    async () => {
      console.log(`two-phase nemesis: TXN_SEED=${SEED} TXN_NEMESIS_SECONDS=${SECONDS}`);
      const { workers, stack } = shop();
      const before = await readBooks(shop());
      const chooser = randomOf(SEED);
      const jobs = [
        ...Array.from({ length: ATOMIC }, (_, i) => anyJob(ATOMICALLY, chooser, i)),
        ...Array.from({ length: SAGAS }, (_, i) => anyJob('transferMoney', chooser, i)),
      ].sort(() => chooser(2) - 0.5);

      const started = Date.now();
      const over = (): boolean => Date.now() - started > SECONDS * 1_000;
      const running = new Set<string>();
      const work = async (): Promise<End[]> =>
        Promise.all(
          jobs.map(async (job, i) => {
            await sleep((i / jobs.length) * SECONDS * 900);
            return pay(shop(), job, running);
          }),
        );

      const faults = { kills: 0, crashes: 0, terminations: 0 };
      const killWorkers = async (random: (below: number) => number): Promise<void> => {
        const names: readonly WorkerName[] = [...parties, 'transactions'];
        while (!over()) {
          await sleep(1_500 + random(2_000));
          await workers[names[random(names.length)]!].kill();
          faults.kills++;
        }
      };
      const crashDatabases = async (random: (below: number) => number): Promise<void> => {
        // On a busy machine one may take the whole time of a sample.
        for (let n = 0; !over() || faults.crashes <= FEWEST_CRASHES; n++) {
          await sleep(4_000 + random(5_000));
          const server = stack.postgres[(n + SEED) % 2 === 0 ? 'a' : 'b'];
          await server.kill();
          await server.restart();
          faults.crashes++;
        }
      };
      const terminateCoordinators = async (random: (below: number) => number): Promise<void> => {
        while (!over()) {
          await sleep(500 + random(2_000));
          const ids = [...running];
          const id = ids[random(ids.length)];
          // It may have ended in this moment.
          const terminated =
            id !== undefined &&
            (await shop()
              .terminate(id)
              .then(
                () => true,
                () => false,
              ));
          if (terminated) faults.terminations++;
        }
      };
      let longestInDoubtMs = 0;
      let nothingPrepared = '';
      const quiet = new AbortController();
      const watchDoubts = async (): Promise<void> => {
        while (!quiet.signal.aborted) {
          // A database may be down.
          const listed = await preparedAt(shop()).catch(() => []);
          longestInDoubtMs = Math.max(longestInDoubtMs, ...listed.map(({ ageMs }) => ageMs));
          await sleep(500);
        }
      };
      const watched = watchDoubts();
      const [ends] = await Promise.all([
        work().catch(async (error: unknown) => {
          console.log(await transcriptOf(shop(), running));
          throw error;
        }),
        Promise.all([
          killWorkers(randomOf(SEED ^ 0x5bd1e995)),
          crashDatabases(randomOf(SEED ^ 0x1b873593)),
          terminateCoordinators(randomOf(SEED ^ 0x2c1b3c6d)),
        ]).then(async () => {
          // Transfers that go on may prepare again; what the faults have left is gone at the first moment without any.
          const emptyMs = await untilNothingPrepared(shop(), PREPARED_MS);
          nothingPrepared = `${(emptyMs / 1_000).toFixed(1)} s`;
        }),
      ]);
      const allEnded = secondsSince(started + SECONDS * 1_000);
      await untilNothingPrepared(shop());
      quiet.abort();
      await watched;

      const counts: Record<string, number> = {};
      const count = (what: string): void => void (counts[what] = (counts[what] ?? 0) + 1);
      for (const [i, { id, workflow, transfer }] of jobs.entries()) {
        const end = ends[i]!;
        if (workflow === 'transferMoney') {
          count(`saga ${end}`);
          if (end !== 'committed' && end !== 'compensated') throw new Error(`${id} ended ${end}.`);
          await expectTransferOnce(shop(), id, transfer, end);
          if (end === 'committed' || (await branchesOf(shop(), id)).length > 0)
            await expectAllOrNothing(shop(), id, end);
          continue;
        }
        const obeyed = await expectObeyed(shop(), id, transfer);
        const decisions = await decisionsOf(shop(), transfer.from.bank, id);
        if (end === 'terminated') count(`2pc terminated, register: ${obeyed}`);
        else {
          count(`2pc ${end}`);
          expect(obeyed, `${id}, of which its client heard: ${end}`).toBe(end === 'committed' ? 'commit' : 'abort');
        }
        if (decisions.some(({ reason }) => reason?.code === 'contention')) count('2pc with contention');
        if (decisions.some(({ by }) => by.startsWith('recovery'))) count('2pc decided by recovery');
      }
      const all = { ...counts, ...faults, workersStartedAgain: 0 };
      for (const name of [...parties, 'transactions'] as const) all.workersStartedAgain += workers[name].restarts;
      console.log(
        `two-phase nemesis: TXN_SEED=${SEED}: ${jobs.length} transfers: ${JSON.stringify(all)}; ` +
          `after the last fault all had ended in ${allEnded}, and nothing was prepared in ${nothingPrepared}; ` +
          `the longest in doubt was so for ${(longestInDoubtMs / 1_000).toFixed(1)} s`,
      );
      // Otherwise nothing was tested.
      expect(counts['2pc committed']).toBeGreaterThan(ATOMIC / 10);
      expect(counts['2pc aborted']).toBeGreaterThan(0);
      expect(counts['saga committed']).toBeGreaterThan(0);
      expect(faults.kills).toBeGreaterThan(SECONDS / 5);
      expect(faults.crashes).toBeGreaterThan(FEWEST_CRASHES);
      // What waits for its place in a group cannot be terminated, and who terminates a group terminates several.
      expect(faults.terminations).toBeGreaterThan(SECONDS / (way === 'alone' ? 6 : 30));

      await expectSoundBooks(shop(), before);
      const { balances } = await readBooks(shop());
      for (const [account, { balance }] of balances) expect(balance, account).toBeGreaterThanOrEqual(0);
      for (const party of parties) {
        const { rows } = await shop().databases[party].query(
          "select pid from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'",
        );
        expect(rows, `open local transactions at ${party}`).toEqual([]);
      }
    },
    SECONDS * 1_000 + SETTLE_MS + 120_000,
  );
});
