/**
 * Commutative update: a change that gives the same result in whatever order it meets others, because it adds instead of
 * setting. A compensation that subtracts again then never overwrites what others did in between.
 *
 * @see Richardson: "Microservices Patterns", 4.3.2, "commutative updates"
 */
import { refuse } from '../refuse';
import type { Tx } from '../tx';
import { identifier, where } from './sql';
import type { Key } from './sql';

export interface AddToOptions {
  /** Table, with its schema where that is not on the search path. */
  readonly table: string;
  readonly key: Key;
  readonly column: string;
  /** What to add, a whole number; negative to take away. */
  readonly amount: number;
  /** The smallest value that may be left. @default none */
  readonly atLeast?: number;
}

/**
 * Adds to a column and returns the new value.
 *
 * @throws {RefusalError} `not-found` when there is no such row, `too-little` when less than `atLeast` would be left
 * @throws {RangeError} when the amount is not a safe integer, or the new value would not be
 * @example const left = await addTo(tx, { table: 'stock', key: { sku }, column: 'available', amount: -quantity, atLeast: 0 });
 */
export async function addTo(tx: Tx, { table, key, column, amount, atLeast }: AddToOptions): Promise<number> {
  if (!Number.isSafeInteger(amount))
    throw new RangeError(`Nothing was changed: the amount ${amount} is not a safe integer.`);
  const { clause, values } = where(key, 1);
  // One statement: the row lock that it takes orders concurrent additions, and each sees the value that the last one left.
  const { rows } = await tx.query<{ value: string }>(
    `update ${identifier(table)} set ${identifier(column)} = ${identifier(column)} + $1 where ${where(key, 2).clause} returning ${identifier(column)}::text as value`,
    [amount, ...values],
  );
  if (!rows[0]) refuse('not-found', `There is no such row in ${table} where ${clause}`);
  const value = Number(rows[0].value);
  if (!Number.isSafeInteger(value))
    throw new RangeError(`Nothing was changed: ${column} would become ${rows[0].value}, not a safe integer.`);
  if (atLeast !== undefined && value < atLeast)
    refuse('too-little', `${column} would become ${value}, less than ${atLeast}`);
  return value;
}
