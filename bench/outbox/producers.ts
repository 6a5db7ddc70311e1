/**
 * What it costs producers to wake the relay: sixteen of them, each of whose transactions inserts a row and appends an event, without
 * a wake-up, with one after the commit, and with a NOTIFY inside of the transaction. With a relay at work and without one: a relay
 * that is woken takes its share of the processors, and nobody who waits for events would want to be without it.
 */
import type { Pool } from 'pg';
import { defineOutbox, wakeRelays } from '../../src/outbox';
import { CONCURRENCY, each } from '../measure';
import { clockMs } from './clock';
import { EVENT_TYPE, SOURCE } from './events';
import type { OutboxStage } from './stage';

export type WakeWay = 'none' | 'after commit' | 'inside';
export const WAKE_WAYS: readonly WakeWay[] = ['none', 'after commit', 'inside'];

export type RelayAtWork = 'alone' | 'with a relay';
export const RELAYS_AT_WORK: readonly RelayAtWork[] = ['alone', 'with a relay'];

/** Milliseconds for each transaction, all producers together. */
export type WakeCosts = Readonly<Record<RelayAtWork, Readonly<Record<WakeWay, number>>>>;

const INSERT = `insert into business (note) values ($1)`;
// As a trigger on the outbox would: no statement more than the others have.
const INSERT_AND_NOTIFY = `insert into business (note) values ($1) returning pg_notify('txn_outbox', '')`;

const KEYS = 5_000;
const outbox = defineOutbox(SOURCE);

/** @param blockMs how long a block of one way lasts; each has two a round */
export async function wakeCosts(stage: OutboxStage, blockMs: number): Promise<WakeCosts> {
  const costs: Partial<Record<RelayAtWork, Record<WakeWay, number>>> = {};
  for (const relays of RELAYS_AT_WORK) {
    await stage.empty();
    const publishing = relays === 'alone' ? undefined : await stage.publish([{ kind: 'ours', seat: 0, seats: 1 }]);
    try {
      publishing?.begin();
      await produce(stage.pool, 'none', blockMs / 4); // Until connections are open and plans are made.
      const blocks = each(WAKE_WAYS, (): number[] => []);
      // There and back again: a machine that becomes slower meanwhile becomes slower for all.
      for (const way of [...WAKE_WAYS, ...WAKE_WAYS.toReversed()])
        blocks[way].push(await produce(stage.pool, way, blockMs));
      costs[relays] = each(WAKE_WAYS, (way) => blocks[way].reduce((sum, ms) => sum + ms, 0) / blocks[way].length);
    } finally {
      await publishing?.stop();
    }
  }
  return costs as WakeCosts; // Cast: the loop has been through both.
}

/** One way for so long. @returns milliseconds for each transaction */
export async function produce(pool: Pool, way: WakeWay, blockMs: number): Promise<number> {
  const began = clockMs();
  let transactions = 0;
  const producer = async (): Promise<void> => {
    const client = await pool.connect();
    try {
      while (clockMs() - began < blockMs) {
        const key = `order-${Math.floor(Math.random() * KEYS)}`;
        await client.query('begin');
        await client.query(way === 'inside' ? INSERT_AND_NOTIFY : INSERT, [key]);
        await outbox.append(client, [{ type: EVENT_TYPE, key, data: { order: key } }]);
        await client.query('commit');
        if (way === 'after commit') wakeRelays(pool);
        transactions++;
      }
    } finally {
      client.release();
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, producer));
  return (clockMs() - began) / transactions;
}
