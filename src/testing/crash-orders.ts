/**
 * Orders for crash points, and whether they can be carried out. One that is misspelt would never be, and the test that gave it would pass
 * without its fault.
 */
import { CRASHPOINTS } from '../protocol';
import type { CrashpointName } from '../protocol';
import { WrongCrashOrder } from './errors';

/** What to do at a crash point. */
export type CrashAction =
  /** SIGKILL: nothing is cleaned up. */
  | { readonly kind: 'kill' }
  /** The attempt fails with an error. */
  | { readonly kind: 'fail' }
  /** The attempt waits, in milliseconds, and goes on: a zombie, when others have given it up. */
  | { readonly kind: 'delay'; readonly ms: number };

export interface CrashOrder {
  readonly at: CrashpointName;
  readonly action: CrashAction;
  /** At which passage of the point, counted from 1. Other passages are left alone. @default 1 */
  readonly passage?: number;
}

/** The fields of each action. */
const ACTIONS: Readonly<Record<CrashAction['kind'], readonly string[]>> = {
  kill: ['kind'],
  fail: ['kind'],
  delay: ['kind', 'ms'],
};
/** The longest timer of Node.js. It takes a longer one for no time at all. */
const LONGEST_MS = 2 ** 31 - 1;

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads orders from the environment: a JSON list of {@link CrashOrder}.
 *
 * @throws {WrongCrashOrder}
 */
export function crashOrdersFrom(text: string | undefined): readonly CrashOrder[] {
  return text === undefined || text === '' ? [] : checkedOrders(readJson(text, 'TXN_CRASHPOINT'), 'TXN_CRASHPOINT');
}

/** @param where what they are called in errors @throws {WrongCrashOrder} */
export function checkedOrders(given: unknown, where: string): readonly CrashOrder[] {
  if (!Array.isArray(given))
    throw new WrongCrashOrder(
      where,
      given,
      'a list of orders, such as [{"at": "branch.before-commit", "action": {"kind": "kill"}}]',
    );
  for (const [i, order] of given.entries()) checkOrder(order, `${where}[${i}]`);
  return given as readonly CrashOrder[]; // Cast: each was looked at.
}

/** @throws {WrongCrashOrder} */
export function readJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WrongCrashOrder(where, text, `JSON: ${(error as Error).message}`); // Cast: that is what it throws.
  }
}

function checkOrder(given: unknown, where: string): void {
  const { at, action, passage = 1 } = fieldsOf(given, where);
  if (!CRASHPOINTS.some((point) => point === at))
    throw new WrongCrashOrder(`${where}.at`, at, `one of ${CRASHPOINTS.join(', ')}`);
  checkAction(action, `${where}.action`);
  if (!Number.isSafeInteger(passage) || Number(passage) < 1)
    throw new WrongCrashOrder(`${where}.passage`, passage, 'a whole number, and the first passage is 1');
  checkNames(given as Fields, ['at', 'action', 'passage'], where); // Cast: it has fields.
}

function checkAction(given: unknown, where: string): void {
  const { kind, ms } = fieldsOf(given, where);
  const fields = Object.entries(ACTIONS).find(([known]) => known === kind)?.[1];
  if (!fields) throw new WrongCrashOrder(`${where}.kind`, kind, `one of ${Object.keys(ACTIONS).join(', ')}`);
  if (kind === 'delay' && !(typeof ms === 'number' && ms >= 0 && ms <= LONGEST_MS))
    throw new WrongCrashOrder(`${where}.ms`, ms, `milliseconds, from 0 to ${LONGEST_MS}`);
  checkNames(given as Fields, fields, where); // Cast: it has fields.
}

function fieldsOf(given: unknown, where: string): Fields {
  if (typeof given === 'object' && given !== null) return given as Fields; // Cast: any object has fields.
  throw new WrongCrashOrder(where, given, 'an object');
}

function checkNames(given: Fields, known: readonly string[], where: string): void {
  const other = Object.keys(given).find((name) => !known.includes(name));
  if (other !== undefined)
    throw new WrongCrashOrder(`${where}.${other}`, given[other], `left out: the fields here are ${known.join(', ')}`);
}
