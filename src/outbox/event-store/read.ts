/** Reads streams, and all events in the order of their positions. */
import type { Pool } from 'pg';
import { show } from '../../protocol';
import type { AdaptedTransaction } from '../adapters';
import type { EventRow } from './events';

/** Where a stream can be read: a pool, or a transaction. Only a transaction sees what it has appended and not committed. */
export type EventReader = Pick<AdaptedTransaction, 'query'>;

// As one text: how the application's driver reads JSON, times and large numbers is its own affair.
const READ_STREAM = `
  select row_to_json(e)::text as event
    from (select stream, version, id, type, revision, data, metadata, transaction_id, branch_id, created_at, position
            from txn.event
           where stream = $1 and version > $2::integer and version <= $3::integer and created_at <= $4::timestamptz
           order by version
           limit $5::integer) e`;

/** What of a stream is read. */
export interface StreamRange {
  /** The version after which it begins. @default 0 */
  readonly after: number;
  /** The last version. */
  readonly upTo: number;
  /** Only what was appended until then. */
  readonly until?: Date | undefined;
}

const PAGE = 1_000;

/** The rows of a stream, in pages: no answer is larger than what one page of events may be. */
export async function* readRows(
  db: EventReader,
  stream: string,
  { after, upTo, until }: StreamRange,
): AsyncGenerator<EventRow> {
  let version = after;
  for (;;) {
    const limit = until?.toISOString() ?? 'infinity';
    const { rows } = await db.query(READ_STREAM, [stream, String(version), String(upTo), limit, String(PAGE)]);
    for (const row of rows) {
      const event = JSON.parse((row as { event: string }).event) as EventRow;
      // E1. Deleted by hand, or restored in part: no state can be made of what is left.
      if (event.version !== version + 1)
        throw new Error(
          `Nothing was changed: stream ${show(stream)} has no version ${version + 1}, and one ${event.version}.`,
        );
      version = event.version;
      yield event;
    }
    if (rows.length < PAGE) return;
  }
}

const READ_ALL = `
  select row_to_json(e)::text as event
    from (select stream, version, id, type, revision, data, metadata, transaction_id, branch_id, created_at, position
            from txn.event
           where position > $1::bigint
           order by position
           limit $2::integer) e`;

/** What has a position, from the first after a given one on. In a single statement, so without a gap: see numbering.ts. */
export async function readNumbered(db: EventReader, after: number, limit: number): Promise<EventRow[]> {
  const { rows } = await db.query(READ_ALL, [String(after), String(limit)]);
  return rows.map((row) => JSON.parse((row as { event: string }).event) as EventRow);
}

/** The last position that was given. */
export async function headPosition(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ position: string }>('select position::text from txn.event_counter');
  return Number(rows[0]?.position ?? 0);
}
