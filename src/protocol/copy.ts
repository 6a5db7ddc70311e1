/** What is kept of a value with which somebody else may go on working. */
import { MOST_LEVELS } from './depth';

/**
 * A copy of data. What is no data, an instance of a class of somebody's or a function, is kept as it is: nobody else can make another one
 * like it.
 */
export const copyOf = <T>(value: T): T => copied(value, new Map(), MOST_LEVELS) as T; // Cast: it is like the value.

function copied(value: unknown, copies: Map<object, unknown>, levels: number): unknown {
  if (typeof value !== 'object' || value === null || levels === 0) return value;
  if (copies.has(value)) return copies.get(value);
  const inside = (part: unknown): unknown => copied(part, copies, levels - 1);
  const begin = <C extends object>(copy: C): C => {
    copies.set(value, copy);
    return copy;
  };
  if (value instanceof Date) return new Date(value.getTime());
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (value instanceof Map) {
    const copy = begin(new Map<unknown, unknown>());
    for (const [key, part] of value) copy.set(inside(key), inside(part));
    return copy;
  }
  if (value instanceof Set) {
    const copy = begin(new Set<unknown>());
    for (const part of value) copy.add(inside(part));
    return copy;
  }
  if (!Array.isArray(value) && !isPlain(value)) return value;
  const copy: Record<string, unknown> = begin(Array.isArray(value) ? value.slice() : { ...value });
  for (const [key, part] of Object.entries(copy)) copy[key] = inside(part);
  return copy;
}

/** Of no class: the prototype of such an object is nobody's heir. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
