/** The transactional outbox: how fast a relay drains a backlog, how soon it publishes, and what waking it costs producers. */
import { CONCURRENCY } from '../measure';
import type { Size } from '../measure';
import type { Outcome, Part, RunOptions } from '../contest';
import { drain, DRAIN_NAMES, DRAINS } from './drain';
import type { Drain, Drained } from './drain';
import { latencies } from './latency';
import { wakeCosts } from './producers';
import { reportOf, textOf } from './report';
import type { OutboxRound } from './report';
import { openOutboxStage } from './stage';
import type { OutboxStage } from './stage';

/** Backlogs of the peer, as shares of the relay's: it takes that much longer for each message, and rates are what is compared. */
const SHARES = { polling: 1 / 16, replication: 1 / 10 };

/** For each event that waits for a poll, this long blocks of producers. */
const BLOCK_MS = 250;

/**
 * @param size of a round: `alone`, events of each way that waits for a poll; `together`, events of a backlog
 */
export async function openOutboxPart(progress: (message: string) => void): Promise<Part> {
  const began = Date.now();
  progress('starting a PostgreSQL server');
  const stage = await openOutboxStage();
  return {
    run: async (options): Promise<Outcome> => {
      const rounds = await measure(stage, options, began);
      const report = reportOf(rounds);
      return { report, text: textOf(report), violations: rounds.reduce((sum, round) => sum + astrayIn(round), 0) };
    },
    stop: stage.stop,
  };
}

async function measure(
  stage: OutboxStage,
  { rounds, size, lastBeginMs, say }: RunOptions,
  began: number,
): Promise<readonly OutboxRound[]> {
  const measured: OutboxRound[] = [];
  for (let i = 0; i < rounds; i++) {
    if (i > 0 && Date.now() - began > lastBeginMs) {
      say(`time is up after ${i} rounds of ${rounds}`);
      break;
    }
    measured.push(
      await round(stage, i % 2 === 0 ? DRAIN_NAMES : DRAIN_NAMES.toReversed(), size, (what) =>
        say(`round ${i + 1} of ${rounds}: ${what}`),
      ),
    );
  }
  return measured;
}

async function round(
  stage: OutboxStage,
  order: readonly Drain[],
  { alone, together }: Size,
  say: (what: string) => void,
): Promise<OutboxRound> {
  const drained: Partial<Record<Drain, Drained>> = {};
  for (const name of order) {
    say(`a backlog, ${name}`);
    drained[name] = await drain(stage, name, backlogOf(name, together));
  }
  say('one event at a time');
  const samples = await latencies(stage, alone);
  say(`${CONCURRENCY} producers`);
  const wakes = await wakeCosts(stage, alone * BLOCK_MS);
  return { drained: drained as Record<Drain, Drained>, latencies: samples, wakes }; // Cast: the order has all.
}

function backlogOf(name: Drain, events: number): number {
  const way = DRAINS[name];
  return 'peer' in way ? Math.ceil(events * SHARES[way.peer]) : events;
}

/** What the relay has published out of turn. Nobody promises here for the peer. */
const astrayIn = ({ drained, latencies: { astray } }: OutboxRound): number =>
  DRAIN_NAMES.reduce((sum, name) => ('peer' in DRAINS[name] ? sum : sum + drained[name].astray), astray);
