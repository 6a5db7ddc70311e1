/** A backlog that is published as fast as it can be: by one relay and by four, with two sizes of a batch, and by the peer. */
import { defineOutbox } from '../../src/outbox';
import { EVENT_TYPE, eventAt, SOURCE } from './events';
import type { OrderChanged } from './events';
import { analyzePeer, appendToPeer, dropSlot, emptyPeer } from './peer';
import type { Job, PeerMode } from './protocol';
import type { OutboxStage } from './stage';

interface RelayWay {
  readonly relays: number;
  readonly batch: number;
}

interface PeerWay {
  readonly peer: PeerMode;
  /** What was fastest of 5 to 500, with as many connections; the replication has none. */
  readonly batch: number | undefined;
  /** How far it is watched, as a share of the events. */
  readonly until: number;
}

/**
 * Relays and the size of their batches, and the modes of the peer, each one process. Polling is not watched to its end: of the last
 * messages some wait for a lock of five seconds to run out, and with few messages that would be most of what is measured.
 */
export const DRAINS = {
  '1×100': { relays: 1, batch: 100 },
  '1×500': { relays: 1, batch: 500 },
  '4×100': { relays: 4, batch: 100 },
  '4×500': { relays: 4, batch: 500 },
  polling: { peer: 'polling', batch: 16, until: 0.9 },
  replication: { peer: 'replication', batch: undefined, until: 1 },
} as const satisfies Record<string, RelayWay | PeerWay>;

export type Drain = keyof typeof DRAINS;
export const DRAIN_NAMES = Object.keys(DRAINS) as readonly Drain[]; // Cast: the keys are those.

export interface Drained {
  /** For each event, from the word to begin until the last was marked. */
  readonly msPerEvent: number;
  /** Events that came out of their turn, or more than once. */
  readonly astray: number;
}

/** One in ten is the first of its key, so a batch has events of many keys; the peer's messages, fewer, all have keys of their own. */
const EVENTS_PER_KEY = { ours: 10, peer: 1 };
const EVENTS_PER_TRANSACTION = 500;

/** A stop of everything is a defect; this is only how long it takes to be noticed. */
const MOST_MS = 120_000;

const outbox = defineOutbox(SOURCE);

export async function drain(stage: OutboxStage, name: Drain, events: number): Promise<Drained> {
  const way = DRAINS[name];
  await fill(stage, 'peer' in way ? way.peer : 'ours', events);
  const jobs: Job[] =
    'peer' in way
      ? [{ kind: way.peer, ...(way.batch === undefined ? {} : { batch: way.batch }) }]
      : Array.from({ length: way.relays }, (_, seat) => ({
          kind: 'ours',
          batch: way.batch,
          seat,
          seats: way.relays,
        }));
  const publishing = await stage.publish(jobs);
  try {
    const begun = publishing.begin();
    const watched = 'peer' in way ? Math.ceil(events * way.until) : events;
    const ended = await publishing.finished(watched, MOST_MS);
    return { msPerEvent: (ended - begun) / watched, astray: publishing.astray };
  } finally {
    await publishing.stop();
    if ('peer' in way) await dropSlot(stage.pool);
  }
}

async function fill({ pool, empty }: OutboxStage, who: 'ours' | PeerMode, events: number): Promise<void> {
  await empty();
  if (who !== 'ours') await emptyPeer(pool, who);
  const keys = Math.ceil(events / EVENTS_PER_KEY[who === 'ours' ? 'ours' : 'peer']);
  for (let n = 0; n < events; n += EVENTS_PER_TRANSACTION) {
    const some = Array.from({ length: Math.min(EVENTS_PER_TRANSACTION, events - n) }, (_, i) => eventAt(n + i, keys));
    if (who === 'ours') await append(pool, some);
    else await appendToPeer(pool, who, some);
  }
  // As autovacuum does sooner or later, and then in the middle of a measurement.
  if (who === 'ours') await pool.query('analyze txn.outbox, txn.outbox_queue, txn.outbox_key');
  else await analyzePeer(pool, who);
}

// A statement of its own is a transaction of its own.
const append = (
  pool: OutboxStage['pool'],
  events: readonly { readonly key: string; readonly data: OrderChanged }[],
): Promise<void> =>
  outbox.append(
    pool,
    events.map((event) => ({ type: EVENT_TYPE, ...event })),
  );
