/**
 * What happens at the named crash points of the code under test: the process is killed, the attempt fails, or it is held up.
 * Loaded into a worker process before anything else (`node --require …/crashpoints-preload`), it takes its orders from
 * TXN_CRASHPOINT, or while it runs from the file that TXN_CRASHPOINT_FILE names, so that the code under test has no line for it.
 */
import { randomUUID } from 'node:crypto';
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { onCrashpoint } from '../protocol';
import type { CrashpointName } from '../protocol';
import { checkedOrders, readJson } from './crash-orders';
import type { CrashOrder } from './crash-orders';

/**
 * Sets what happens at crash points in this process. Returns the way back.
 *
 * @throws {WrongCrashOrder} when one of them would never be carried out
 * @example const disarm = armCrashpoints([{ at: 'branch.before-commit', action: { kind: 'fail' } }]);
 */
export function armCrashpoints(orders: readonly CrashOrder[]): () => void {
  const obey = obeying({ orders: checkedOrders(orders, 'orders'), log: process.env['TXN_CRASHPOINT_LOG'] });
  onCrashpoint(obey);
  return () => onCrashpoint(undefined);
}

/** What a running process is told with {@link giveCrashOrders}. */
interface Given {
  readonly orders: readonly CrashOrder[];
  /** The file that is left word in: a test must know that its process was killed where it meant to. */
  readonly log: string | undefined;
}

/**
 * Gives orders to the process that runs with this file as its TXN_CRASHPOINT_FILE, in place of those that it has. They are not those of
 * the process that is started after it.
 *
 * @param log the file in which the process notes at which point it is killed @default nowhere
 * @throws {WrongCrashOrder} when one of them would never be carried out: the process keeps those that it has
 */
export function giveCrashOrders(file: string, orders: readonly CrashOrder[], log?: string): void {
  const given: Given & { id: string } = { id: randomUUID(), orders: checkedOrders(orders, 'orders'), log };
  writeFileSync(`${file}.new`, JSON.stringify(given));
  renameSync(`${file}.new`, file);
}

/**
 * Looks into the file at each crash point, for orders that were given since now. Until there are some, `orders` count. What cannot be
 * carried out fails each attempt that passes a point, until the file is mended.
 */
export function armCrashpointsFrom(file: string, orders: readonly CrashOrder[] = []): void {
  let obey = obeying({ orders: checkedOrders(orders, 'orders'), log: process.env['TXN_CRASHPOINT_LOG'] });
  let known = readIfThere(file);
  onCrashpoint((name) => {
    const text = readIfThere(file);
    if (text !== known) {
      obey = obeying(givenIn(text, file));
      known = text;
    }
    return obey(name);
  });
}

function givenIn(text: string, file: string): Given {
  if (text === '') return { orders: [], log: undefined };
  const { orders, log } = Object(readJson(text, file)) as Partial<Given>; // Cast: what is obeyed is looked at.
  return { orders: checkedOrders(orders, `orders in ${file}`), log };
}

function obeying({ orders, log }: Given): (name: CrashpointName) => Promise<void> {
  const passages = new Map<CrashpointName, number>();
  return async (name) => {
    const passage = (passages.get(name) ?? 0) + 1;
    passages.set(name, passage);
    const order = orders.find((candidate) => candidate.at === name && (candidate.passage ?? 1) === passage);
    if (order) await carryOut(order, log);
  };
}

async function carryOut({ at, action }: CrashOrder, log: string | undefined): Promise<void> {
  switch (action.kind) {
    case 'kill':
      if (log !== undefined) appendFileSync(log, `${at}\n`);
      process.kill(process.pid, 'SIGKILL');
      return new Promise(() => undefined); // The signal comes; nothing after this line may run.
    case 'fail':
      throw new Error(`crash point ${at}`);
    case 'delay':
      await sleep(action.ms);
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // Nobody has given any.
  }
}
