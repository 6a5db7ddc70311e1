/**
 * From the answer to COMMIT until the event is given to the publisher, one event at a time, with pauses: woken and unwoken, which are
 * the same relay, and both modes of the peer. Nobody is told how often to poll: all have half a second by default.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PoolClient } from 'pg';
import { defineOutbox, wakeRelays } from '../../src/outbox';
import { each } from '../measure';
import { clockMs } from './clock';
import { EVENT_TYPE, eventAt, SOURCE } from './events';
import { dropSlot, emptyPeer, peerStorage } from './peer';
import type { PeerMode } from './protocol';
import type { Publishing } from './publishing';
import type { OutboxStage } from './stage';

export type LatencyWay = 'woken' | 'unwoken' | PeerMode;
export const LATENCY_WAYS: readonly LatencyWay[] = ['woken', 'unwoken', 'replication', 'polling'];

export interface LatencySamples {
  /** Milliseconds. */
  readonly samples: Readonly<Record<LatencyWay, readonly number[]>>;
  /** Messages that the peer's replication did not hand over. */
  readonly lost: number;
  /** Events that the relay published out of their turn, or more than once. */
  readonly astray: number;
}

/** Those that do not wait for a poll have as many turns for each of the others: there is time for them. */
const QUICK_TURNS = 20;
const PAUSE_MS = { least: 5, most: 25 };
/** Before an event that waits for a poll: so that it comes at any moment between two. */
const POLL_MS = 500;
/** A stop is a defect; this is only how long it takes to be noticed. */
const MOST_MS = 30_000;
/**
 * The peer's replication loses messages: the server may send one before its row can be seen, and it takes a row that it does not see
 * for one that was deleted, and acknowledges it. What is not there after this long is lost.
 */
const LOST_AFTER_MS = 1_000;

const outbox = defineOutbox(SOURCE);

/** @param turns of those that wait for a poll */
export async function latencies(stage: OutboxStage, turns: number): Promise<LatencySamples> {
  const { pool } = stage;
  await stage.empty();
  await emptyPeer(pool, 'polling');
  await emptyPeer(pool, 'replication');
  const relay = await stage.publish([{ kind: 'ours', seat: 0, seats: 1 }]);
  const polling = await stage.publish([{ kind: 'polling' }]);
  const replication = await stage.publish([{ kind: 'replication' }]);
  const publishing = { woken: relay, unwoken: relay, polling, replication };
  const samples = each(LATENCY_WAYS, (): number[] => []);
  const all = [relay, polling, replication];
  let lost = 0;
  try {
    for (const one of all) one.begin();
    const producer = await pool.connect();
    try {
      const once = async (way: LatencyWay, n: number, counted: boolean): Promise<void> => {
        const ms = await publishOne(producer, way, publishing[way], n);
        if (way === 'woken' || way === 'replication') await sleep(between(PAUSE_MS));
        if (!counted) return;
        if (ms === 'lost') lost++;
        else samples[way].push(ms);
      };
      const numbers = each(LATENCY_WAYS, () => 0);
      // The first of each finds connections that are not open and statements that are not prepared.
      for (const way of LATENCY_WAYS) await once(way, 0, false);
      for (let turn = 0; turn < turns; turn++)
        for (const way of turn % 2 === 0 ? LATENCY_WAYS : LATENCY_WAYS.toReversed()) {
          const polls = way === 'unwoken' || way === 'polling';
          if (polls) await sleep(between({ least: 0, most: POLL_MS }));
          for (let i = 0; i < (polls ? 1 : QUICK_TURNS); i++) await once(way, ++numbers[way], true);
        }
    } finally {
      producer.release();
    }
    return { samples, lost, astray: relay.astray };
  } finally {
    await Promise.all(all.map((one) => one.stop()));
    await dropSlot(pool);
  }

  async function publishOne(
    producer: PoolClient,
    way: LatencyWay,
    published: Publishing,
    n: number,
  ): Promise<number | 'lost'> {
    const before = published.count;
    // A key for each event: one that is lost must not make those after it look out of turn.
    const key = `order-${way}-${n}`;
    const { data } = eventAt(0, 1);
    await producer.query('begin');
    if (way === 'polling' || way === 'replication')
      await peerStorages[way](
        {
          id: randomUUID(),
          aggregateType: SOURCE,
          aggregateId: key,
          messageType: EVENT_TYPE,
          segment: key,
          payload: data,
        },
        producer,
      );
    else await outbox.append(producer, [{ type: EVENT_TYPE, key, data }]);
    await producer.query('commit');
    const committedAt = clockMs();
    if (way === 'woken') wakeRelays(pool);
    if (way === 'replication' && !(await published.reaches(before + 1, LOST_AFTER_MS))) return 'lost';
    await published.finished(before + 1, MOST_MS);
    return published.publishedAt - committedAt;
  }
}

const peerStorages = { polling: peerStorage('polling'), replication: peerStorage('replication') };

const between = ({ least, most }: { readonly least: number; readonly most: number }): number =>
  least + Math.random() * (most - least);
