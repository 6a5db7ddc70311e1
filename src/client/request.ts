/**
 * The input of a transaction: what can be sent as it is, and the hash under which it is remembered.
 *
 * JSON changes or drops much without a word: `NaN` becomes null, a Map an empty object, a Date a text that the workflow takes for a
 * Date. Money must not be moved by what was never meant, so such an input is refused before anything is sent.
 */
import { createHash } from 'node:crypto';
import { types } from 'node:util';
import { canonicalJson, MOST_LEVELS, show } from '../protocol';
import { InvalidInput } from './errors';

/** Temporal takes 2 MiB; a branch gets the input with a little around it. */
const MOST_BYTES = 2_000_000;

/** @throws {InvalidInput} when it is not what JSON can carry */
export function requestHash(id: string, input: unknown): string {
  const problem = problemOf(input, []);
  if (problem !== undefined) throw new InvalidInput(id, problem.at, problem.what);
  const json = (JSON.stringify(input) as string | undefined) ?? 'null';
  const bytes = Buffer.byteLength(json);
  if (bytes > MOST_BYTES) throw new InvalidInput(id, '', `has ${bytes} bytes of JSON, more than ${MOST_BYTES}`);
  return createHash('sha256')
    .update(canonicalJson(JSON.parse(json)))
    .digest('hex');
}

interface Problem {
  readonly at: string;
  readonly what: string;
}

interface Level {
  readonly value: unknown;
  readonly key: string | number;
}

/** @param around what the value is in, from the outside in */
function problemOf(value: unknown, around: readonly Level[]): Problem | undefined {
  const wrong = whatIsWrong(value, around);
  if (wrong !== undefined) return { at: pathOf(around), what: wrong };
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, field] of Array.isArray(value) ? value.entries() : Object.entries(value)) {
    // A field without a value is left out, as everybody expects. A place in a list is not: the others would move up.
    if (field === undefined && !Array.isArray(value)) continue;
    const problem = problemOf(field, [...around, { value, key }]);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function whatIsWrong(value: unknown, around: readonly Level[]): string | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined;
    case 'number':
      return Number.isFinite(value) ? undefined : `is ${String(value)}, which JSON has no number for`;
    case 'undefined':
      return around.length === 0 ? undefined : 'is undefined, in a list: JSON would make it null';
    case 'bigint':
      return 'is a bigint, which JSON has no number for: send it as a text';
    case 'object':
      return value === null ? undefined : whatIsWrongWith(value, around);
    default:
      return `is a ${typeof value}`;
  }
}

function whatIsWrongWith(value: object, around: readonly Level[]): string | undefined {
  if (around.some((level) => level.value === value)) return 'contains itself';
  if (around.length >= MOST_LEVELS) return `is nested more than ${MOST_LEVELS} levels deep`;
  if (Array.isArray(value)) return undefined;
  if (types.isProxy(value)) return 'is a Proxy';
  const isChanged =
    ('toJSON' in value && typeof value.toJSON === 'function') ||
    Symbol.iterator in value ||
    ArrayBuffer.isView(value) ||
    types.isAnyArrayBuffer(value) ||
    types.isPromise(value);
  return isChanged ? `is a ${nameOf(value)}, which JSON would change: send what the workflow expects` : undefined;
}

const nameOf = ({ constructor }: object): string =>
  typeof constructor === 'function' && constructor !== Object ? constructor.name : 'value with toJSON';

const pathOf = (around: readonly Level[]): string => {
  const path = around.map(({ key }) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('');
  return show(path).replace(/^"|"$/g, '');
};
