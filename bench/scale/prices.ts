/** What one transfer takes of each resource, alone and in a group: the constants of the calculation on paper. */
import type { RunOptions } from '../contest';
import { spreadOf } from '../statistics';
import { costsSince } from '../throughput/cost';
import { BANKS } from '../transfer';
import type { Fleet, Made } from './fleet';
import { eachPart } from './usage';
import type { Cpu } from './usage';
import { CALLERS, measure } from './windows';
import type { Window } from './windows';

/** For each transfer. */
export interface Price {
  /** Milliseconds; of both banks' workers each, of both PostgreSQL servers together. */
  readonly cpuMs: Cpu;
  /** Local transactions that a bank's database commits, of whoever asks. */
  readonly commits: number;
  readonly workflows: number;
  readonly workflowTasks: number;
  readonly activities: number;
  readonly events: number;
  readonly actions: number;
}

export interface Prices {
  readonly grouped: Price;
  readonly alone: Price;
}

export type Way = keyof Prices;

const ALONE_CALLERS = 64;
/** Transfers that are made alone, unless even fewer are to be open at once. */
const ALONE = 256;

/**
 * @param windows of transfers in groups: their CPU time is taken from these
 * @returns also what a block of transfers alone has shown, and how many entries of it are wrong or missing
 */
export async function measurePrices(
  fleet: Fleet,
  { size, rounds, say }: RunOptions,
  windows: readonly Window[],
): Promise<{ readonly prices: Prices; readonly alone: Omit<Window, 'memory'>; readonly wrong: number }> {
  say('counting what a transfer takes');
  const one = Math.ceil(size.together / rounds);
  const grouped = await counted(fleet, 'grouped', one, CALLERS);
  let wrong = await fleet.look([grouped.made]);
  const few = Math.min(ALONE, size.alone);
  // Until the code of this way is compiled and its connections are open.
  const warmUp = await measure(fleet, 'alone', Math.ceil(few / 4), ALONE_CALLERS);
  wrong += await fleet.look([warmUp.made]);
  const alone = await counted(fleet, 'alone', few, ALONE_CALLERS);
  wrong += await fleet.look([alone.made]);
  const cpuMs = eachPart((part) => spreadOf(windows.map((window) => window.cpuMs[part])).median);
  return {
    prices: { grouped: { ...grouped.price, cpuMs }, alone: alone.price },
    alone: alone.figures,
    wrong,
  };
}

async function counted(
  fleet: Fleet,
  way: Way,
  count: number,
  callers: number,
): Promise<{ readonly made: Made; readonly figures: Omit<Window, 'memory'>; readonly price: Price }> {
  const before = await commitsOf(fleet);
  const since = new Date();
  const { made, figures } = await measure(fleet, way, count, callers);
  const commits = ((await commitsOf(fleet)) - before) / BANKS.length / count;
  const { workflows, perTransfer } = await costsSince(fleet.stage, since, count);
  const price = {
    cpuMs: figures.cpuMs,
    commits,
    workflows,
    workflowTasks: perTransfer('workflowTasks'),
    activities: perTransfer('activities'),
    events: perTransfer('events'),
    actions: perTransfer('actions'),
  };
  return { made, figures, price };
}

/** Of both banks. */
async function commitsOf({ stage }: Fleet): Promise<number> {
  const counts = await Promise.all(
    BANKS.map(async (bank) => {
      const { rows } = await stage
        .pool(bank)
        .query<{ commits: number }>(
          'select xact_commit::int as commits from pg_stat_database where datname = current_database()',
        );
      return rows[0]?.commits ?? 0;
    }),
  );
  return counts.reduce((sum, commits) => sum + commits, 0);
}
