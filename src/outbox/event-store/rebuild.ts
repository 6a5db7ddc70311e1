/**
 * Makes a projection's tables anew from all events. They are emptied in one transaction, together with the position; what follows
 * is the ordinary way forward, so a crash in the middle loses nothing, and the result is what the live projection has (rule E5).
 */
import { setTimeout } from 'node:timers/promises';
import type { Pool } from 'pg';
import { inHandlerTransaction } from '../handler-transaction';
import { Numbering } from './numbering';
import { REGISTER, step } from './projection';
import type { AnyProjection } from './projection';
import { headPosition } from './read';

// It waits for the runner that is applying events, and the next one begins at 0.
const RESTART = `
  update txn.projection
     set position = 0, updated_at = clock_timestamp(),
         stopped_at_position = null, stopped_at_event = null, error = null, stopped_at = null
   where name = $1`;

/** The runner ends its transaction first, and emptying large tables takes long. */
const TIMEOUTS = { lockMs: 60_000, statementMs: 600_000, idleInTransactionMs: 601_000, startToCloseMs: 602_000 };

const BATCH = 500;
const BUSY_PAUSE_MS = 50;

/**
 * Rebuilds a projection, up to the last event that there is when it begins; runners may go on meanwhile. Its readers see it grow
 * again from nothing. Where they must not, give a new projection tables and a name of its own, and switch over.
 *
 * @returns the position that it has reached
 * @throws what a handler throws, or {UnreadableEventError}: the tables hold what comes before that event
 * @example await rebuildProjection(pool, balances);
 */
export async function rebuildProjection(pool: Pool, projection: AnyProjection): Promise<number> {
  await pool.query(REGISTER, [projection.name]);
  await inHandlerTransaction(pool, { label: `txn:rebuild:${projection.name}`, timeouts: TIMEOUTS }, async (tx) => {
    await tx.query(RESTART, [projection.name]);
    await projection.reset(tx);
  });
  await new Numbering(pool).numberAll(BATCH);
  const head = await headPosition(pool);
  for (;;) {
    const done = await step(pool, projection, BATCH);
    if (done.kind === 'busy') await setTimeout(BUSY_PAUSE_MS);
    else if (done.failure) throw done.failure.error;
    else if (done.position >= head) return done.position;
  }
}
