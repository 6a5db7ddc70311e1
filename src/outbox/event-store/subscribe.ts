/** All events of a database in the order of their positions, those to come too. */
import type { Pool } from 'pg';
import type { EventTypes } from '../append';
import { PositionAheadError } from '../errors';
import { Wakes } from '../relay/wake';
import { readEvent } from './events';
import type { NumberedEvent, Upcasters } from './events';
import { Numbering } from './numbering';
import { headPosition, readNumbered } from './read';

export interface SubscribeOptions {
  /** The position after which it begins. @default 0, the beginning */
  readonly after?: number;
  /** Only of streams whose name begins so. */
  readonly streams?: string;
  /** How often it looks when nobody wakes it, in milliseconds. @default 500 */
  readonly pollMs?: number;
  /** Most events read at once, 1 to 10000. @default 500 */
  readonly batch?: number;
  /** Ends it. */
  readonly stop: AbortSignal;
}

export async function* subscribe<Types extends EventTypes>(
  pool: Pool,
  upcasters: Upcasters<Types>,
  { after = 0, streams = '', pollMs = 500, batch = 500, stop }: SubscribeOptions,
): AsyncGenerator<NumberedEvent<Types>, void> {
  checkReading({ after, pollMs, batch });
  const numbering = new Numbering(pool);
  const wakes = new Wakes(pool);
  const last = await headPosition(pool);
  if (after > last) throw new PositionAheadError(after, last);
  let position = after;
  await wakes.listen();
  try {
    while (!stop.aborted) {
      await numbering.number(batch);
      const rows = await readNumbered(pool, position, batch);
      for (const row of rows) {
        if (stop.aborted) return;
        if (row.stream.startsWith(streams)) yield readEvent(upcasters, row) as NumberedEvent<Types>;
        position = row.position ?? position;
      }
      if (rows.length < batch) await wakes.wait(pollMs, stop);
    }
  } finally {
    wakes.close();
  }
}

/** @throws {RangeError} */
export function checkReading(options: {
  readonly after?: number;
  readonly pollMs: number;
  readonly batch: number;
}): void {
  const { after = 0, pollMs, batch } = options;
  if (!Number.isSafeInteger(after) || after < 0)
    throw new RangeError(`Nothing was read: after is ${String(after)}, not a whole number from 0 up.`);
  if (!(pollMs >= 1 && pollMs <= 60_000))
    throw new RangeError(`Nothing was read: pollMs is ${String(pollMs)}, not a number from 1 to 60000.`);
  if (!Number.isSafeInteger(batch) || batch < 1 || batch > 10_000)
    throw new RangeError(`Nothing was read: batch is ${String(batch)}, not a whole number from 1 to 10000.`);
}
