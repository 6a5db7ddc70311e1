/**
 * Whether JSON carries an input as it is.
 *
 * It changes or drops much without a word: `NaN` becomes null, a Map an empty object, a Date a text that the workflow takes for a
 * Date. Money must not be moved by what was never meant, so such an input is refused before anything is sent.
 */
import { types } from 'node:util';
import { MOST_INPUT_BYTES, MOST_LEVELS, show } from '../protocol';

export const TOO_LARGE = `has more than ${MOST_INPUT_BYTES} bytes of JSON`;

/** What JSON would change or drop. */
export interface Problem {
  /** Which part of the input, such as `.items[3].price`; empty for all of it. */
  readonly at: string;
  readonly what: string;
}

/** The first part of an input that JSON does not carry as it is. */
export const problemOf = (input: unknown): Problem | undefined => new Check().problemOf(input);

/** One walk through a value. It ends at the first problem, and before it has seen more than could be sent. */
class Check {
  /** What the value is in, from the outside in, and the names of the fields on the way to it. */
  readonly #around: object[] = [];
  readonly #path: (string | number)[] = [];
  /** At least so many bytes of JSON have been seen. What is in many places counts in each. */
  #bytes = 0;

  problemOf(value: unknown): Problem | undefined {
    const what = this.#whatIsWrong(value);
    if (what !== undefined) return { at: this.#at(), what };
    if (this.#bytes > MOST_INPUT_BYTES) return { at: '', what: TOO_LARGE };
    if (typeof value !== 'object' || value === null) return undefined;
    this.#around.push(value);
    const isList = Array.isArray(value);
    for (const [key, field] of isList ? value.entries() : Object.entries(value)) {
      // A field without a value is left out, as everybody expects. A place in a list is not: the others would move up.
      if (field === undefined && !isList) continue;
      if (typeof key === 'string') this.#bytes += key.length + 3;
      this.#path.push(key);
      const problem = this.problemOf(field);
      if (problem !== undefined) return problem;
      this.#path.pop();
    }
    this.#around.pop();
    return undefined;
  }

  #whatIsWrong(value: unknown): string | undefined {
    // With what parts it from the next one. The last thing in a list or an object has nothing behind it: they count one less.
    this.#bytes += typeof value === 'object' && value !== null ? 1 : 2;
    switch (typeof value) {
      case 'string':
        this.#bytes += value.length;
        return undefined;
      case 'boolean':
        return undefined;
      case 'number':
        return Number.isFinite(value) ? undefined : `is ${String(value)}, which JSON has no number for`;
      case 'undefined':
        return this.#around.length === 0 ? undefined : 'is undefined, in a list: JSON would make it null';
      case 'bigint':
        return 'is a bigint, which JSON has no number for: send it as a text';
      case 'object':
        return value === null ? undefined : this.#whatIsWrongWith(value);
      default:
        return `is a ${typeof value}`;
    }
  }

  #whatIsWrongWith(value: object): string | undefined {
    if (this.#around.includes(value)) return 'contains itself';
    if (this.#around.length >= MOST_LEVELS) return `is nested more than ${MOST_LEVELS} levels deep`;
    if (types.isProxy(value)) return 'is a Proxy';
    return isChanged(value)
      ? `is a ${nameOf(value)}, which JSON would change: send what the workflow expects`
      : dropped(value);
  }

  #at(): string {
    const path = this.#path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('');
    return show(path).replace(/^"|"$/g, '');
  }
}

/** Whether JSON makes something else of it. */
function isChanged(value: object): boolean {
  if (typeof fieldOf(value, 'toJSON') === 'function') return true;
  if (Array.isArray(value) || classesOf(value).length === 0) return false;
  return (
    Object.keys(value).length === 0 ||
    Symbol.iterator in value ||
    ArrayBuffer.isView(value) ||
    types.isBoxedPrimitive(value) ||
    types.isNativeError(value) ||
    types.isRegExp(value) ||
    types.isPromise(value)
  );
}

/** Its fields that JSON leaves out, or that are computed and may be another value each time they are read. */
function dropped(value: object): string | undefined {
  if (Array.isArray(value)) {
    const extra = Object.keys(value).find((key) => !isIndex(key, value.length));
    return extra === undefined ? undefined : `is a list with a field ${show(extra)}, which JSON leaves out`;
  }
  for (const key of Reflect.ownKeys(value)) {
    if (typeof key === 'symbol') return `has a field named by a symbol, which JSON leaves out`;
    const field = Object.getOwnPropertyDescriptor(value, key);
    if (field?.enumerable === false) return `has a field ${show(key)} that is not enumerable, which JSON leaves out`;
    if (field?.get || field?.set) return `has a field ${show(key)} that is computed: send its value`;
  }
  for (const prototype of classesOf(value)) {
    const getter = Object.entries(Object.getOwnPropertyDescriptors(prototype)).find(
      ([, field]) => field.get !== undefined,
    );
    if (getter) return `has a field ${show(getter[0])} that is computed by its class, which JSON leaves out`;
  }
  return undefined;
}

const isIndex = (key: string, length: number): boolean => /^\d+$/.test(key) && Number(key) < length;

const above = (value: object): object | null => Object.getPrototypeOf(value) as object | null;

/** The prototypes of its classes: not the one that all objects have, also of another realm. */
function classesOf(value: object): readonly object[] {
  const prototype = above(value);
  return prototype === null || above(prototype) === null ? [] : [prototype, ...classesOf(prototype)];
}

/** A field, unless reading it would run code. */
function fieldOf(value: object, key: string): unknown {
  const found = Object.getOwnPropertyDescriptor(value, key);
  if (found) return found.value;
  const prototype = above(value);
  return prototype === null ? undefined : fieldOf(prototype, key);
}

const nameOf = (value: object): string => {
  const constructor = fieldOf(value, 'constructor');
  return typeof constructor === 'function' && constructor !== Object ? constructor.name : 'value with toJSON';
};
