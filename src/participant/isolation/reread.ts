/**
 * Reread value: before a saga writes what it derived from an earlier read, it reads the record again, locks it, and refuses
 * when someone changed it in between. Prevents lost updates without holding anything while the saga runs.
 *
 * @see Richardson: "Microservices Patterns", 4.3.2, "reread value"
 */
import { refuse } from '../refuse';
import type { Tx } from '../tx';
import { identifier, where } from './sql';
import type { Key } from './sql';

export interface RereadOptions {
  /** Table, with its schema where that is not on the search path: `sales.customer_order`. */
  readonly table: string;
  /** The row: column and value of its key. */
  readonly key: Key;
  /** The column that every writer of the row changes. @default 'version' */
  readonly versionColumn?: string;
  /** What the saga read before. */
  readonly expected: string | number;
}

/**
 * Locks the row until the end of the local transaction and checks that it is the version that the saga has seen.
 *
 * @throws {RefusalError} `stale-version` when it is another one, `not-found` when there is no such row
 * @example await reread(tx, { table: 'customer_order', key: { id }, expected: input.version });
 */
export async function reread(
  tx: Tx,
  { table, key, versionColumn = 'version', expected }: RereadOptions,
): Promise<void> {
  const { clause, values } = where(key, 1);
  const { rows } = await tx.query<{ version: unknown }>(
    `select ${identifier(versionColumn)}::text as version from ${identifier(table)} where ${clause} for update`,
    values,
  );
  if (!rows[0]) refuse('not-found', `There is no such row in ${table}`);
  if (rows[0].version !== String(expected)) {
    refuse(
      'stale-version',
      `A row of ${table} is at version ${String(rows[0].version)}, not ${expected}: it was changed meanwhile`,
    );
  }
}
