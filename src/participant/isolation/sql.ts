/** SQL from names that the service's own code gives. Values are always bound. */
import { show } from '../../protocol';

/** Columns and values of a key. */
export type Key = Readonly<Record<string, string | number | bigint>>;

const IDENTIFIER = /^[a-z_][a-z0-9_]{0,62}(?:\.[a-z_][a-z0-9_]{0,62})?$/;

/** @throws {TypeError} unless it is a lower-case identifier, with or without a schema */
export function identifier(name: string): string {
  if (!IDENTIFIER.test(name))
    throw new TypeError(`Nothing was changed: ${show(name)} is not a lower-case SQL identifier.`);
  return name
    .split('.')
    .map((part) => `"${part}"`)
    .join('.');
}

export function where(key: Key, firstParameter: number): { clause: string; values: (string | number | bigint)[] } {
  const columns = Object.keys(key);
  if (columns.length === 0) throw new TypeError('Nothing was changed: a key needs at least one column.');
  return {
    clause: columns.map((column, i) => `${identifier(column)} = $${firstParameter + i}`).join(' and '),
    values: Object.values(key),
  };
}
