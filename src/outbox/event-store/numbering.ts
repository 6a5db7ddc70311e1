/**
 * The global position: the order of all events of a database, for those who read them all.
 *
 * It is not given when an event is appended. What is given then (an identity column, a transaction id, a time) comes in another
 * order than the commits, and a reader that remembers how far it was skips what appears behind it; with prepared transactions,
 * which commit hours after they have written, that is no rare race but the rule. The known cure is to read only what is older
 * than every transaction in progress (`pg_snapshot_xmin`). It skips nothing, and stands still while one transaction is open or
 * prepared in any database of the server.
 *
 * So positions are given after the commit, by whoever wants to read: `txn.number_events` locks the one row of the counter, takes
 * the events that it can see and that have no position, and gives them the next ones, in a short transaction of its own. From the
 * lock follows that positions are committed in their order: whoever sees position p sees all before it, and nothing appears behind
 * a reader. From "that it can see" follows that an event of an open or in-doubt transaction has no position yet, blocks nobody,
 * and gets one when it is there (rule E8). Events of one stream have positions in the order of their versions, because an event is
 * never visible before the one that it follows.
 */
import type { Pool } from 'pg';

/** How often everything is looked at, in milliseconds; in between only what was appended lately. */
const LOOK_AT_EVERYTHING_MS = 1_000;

/** Where that takes long, as many times as long passes until the next look. */
const SHARE = 20;

/** Gives events their positions, for one reader. */
export class Numbering {
  #nextLookAtEverything = 0;

  constructor(private readonly pool: Pool) {}

  /** Gives at most so many events their positions. */
  async number(most: number): Promise<void> {
    const begun = performance.now();
    const everything = begun >= this.#nextLookAtEverything;
    await this.pool.query('call txn.number_events($1, $2)', [most, everything]);
    const ended = performance.now();
    if (everything) this.#nextLookAtEverything = ended + Math.max(LOOK_AT_EVERYTHING_MS, SHARE * (ended - begun));
  }

  /** Gives all events that are there now their positions, so many at a time. */
  async numberAll(most: number): Promise<void> {
    const { rows } = await this.pool.query<{ last: string | null }>(
      'select max(appended) as last from txn.event where position is null',
    );
    const last = rows[0]?.last ?? null;
    const isLeft = async (): Promise<boolean> => {
      const { rowCount } = await this.pool.query(
        'select from txn.event where position is null and appended <= $1 limit 1',
        [last],
      );
      return rowCount !== 0;
    };
    while (last !== null && (await isLeft())) await this.pool.query('call txn.number_events($1)', [most]);
  }
}
