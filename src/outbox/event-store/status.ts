/** How far projections are, for metrics, health checks and people. */
import type { Pool } from 'pg';

export interface ProjectionStatus {
  readonly name: string;
  /** All events up to here are in its tables. */
  readonly position: number;
  /** Events that have a position and are not in its tables. */
  readonly behind: number;
  readonly updatedAt: Date;
  /** The event that it cannot apply, if there is one. */
  readonly stopped?: { readonly position: number; readonly event: string; readonly error: string; readonly at: Date };
}

const STATUS = `
  select p.name, p.position::float8 as position, (c.position - p.position)::float8 as behind, p.updated_at as "updatedAt",
         p.stopped_at_position::float8 as at_position, p.stopped_at_event as at_event, p.error, p.stopped_at as at
    from txn.projection p cross join txn.event_counter c
   order by p.name`;

interface Row {
  readonly name: string;
  readonly position: number;
  readonly behind: number;
  readonly updatedAt: Date;
  readonly at_position: number | null;
  readonly at_event: string;
  readonly error: string;
  readonly at: Date;
}

/**
 * Reads how the projections of a database stand, by name.
 *
 * @example const stopped = (await projectionStatus(pool)).filter((projection) => projection.stopped);
 */
export async function projectionStatus(pool: Pool): Promise<ProjectionStatus[]> {
  const { rows } = await pool.query<Row>(STATUS);
  return rows.map(({ at_position, at_event, error, at, ...row }) =>
    at_position === null ? row : { ...row, stopped: { position: at_position, event: at_event, error, at } },
  );
}
