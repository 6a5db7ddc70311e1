/** A relay in this process: its own connections for listening, and its share of the partitions. */
import type { Pool } from 'pg';
import { relaySettings } from './options';
import type { RelayOptions } from './options';
import { PARTITIONS } from './queue';
import { relayPartitions } from './relay-partitions';
import type { RelayRound } from './relay-partitions';
import { Wakes } from './wake';

export interface RelayShare extends RelayOptions {
  /** Connections to the database of the outbox, at least three. */
  readonly pool: Pool;
  /** Who this is, as `txn.outbox_partition` shows it. */
  readonly owner: string;
  /** Which of how many relays this is, counted from 0: they divide the keys between them. @default the only one */
  readonly seat?: number;
  readonly seats?: number;
  /** Ends it: what is under way is waited for, and marked. */
  readonly stop: AbortSignal;
  /** Hears what each round has done. */
  readonly observe?: (round: RelayRound) => void;
}

/**
 * Publishes what the outbox of a database holds, and goes on until it is stopped. It takes its partitions over from whoever had
 * them; see `runOutboxRelay` of temporal-txn/worker for relays that follow each other when one dies.
 *
 * @throws {RangeError} when an option is out of range; nothing was started
 * @throws {RelayReplacedError} when another relay has taken over
 * @throws what the database answers: nothing is lost, and the next relay publishes what is not marked
 * @example
 * const stop = new AbortController();
 * const running = relay({ pool, owner: 'orders-1', publisher, stop: stop.signal });
 */
export async function relay(share: RelayShare): Promise<void> {
  const { pool, owner, seat = 0, seats = 1, stop, observe } = share;
  const settings = relaySettings(share);
  const partitions = partitionsOf(seat, seats);
  const wakes = new Wakes(pool);
  await wakes.listen();
  try {
    await relayPartitions({ pool, partitions, owner, settings, wakes, stop, ...(observe ? { observe } : {}) });
  } finally {
    wakes.close();
  }
}

function partitionsOf(seat: number, seats: number): number[] {
  if (!Number.isSafeInteger(seats) || seats < 1 || seats > PARTITIONS)
    throw new RangeError(`Nothing was started: seats is ${String(seats)}, not a whole number from 1 to ${PARTITIONS}.`);
  if (!Number.isSafeInteger(seat) || seat < 0 || seat >= seats)
    throw new RangeError(`Nothing was started: seat is ${String(seat)}, not a whole number from 0 to ${seats - 1}.`);
  return Array.from({ length: PARTITIONS }, (_, partition) => partition).filter(
    (partition) => partition % seats === seat,
  );
}
