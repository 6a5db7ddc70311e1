/** What a participant's database, and that of the register, make of what they are asked. */
import type { Decision } from '../../../src/protocol';
import { decisionOf } from './participation';
import type { Asking } from './participation';
import { At, Db, get, registerOf } from './state';
import type { World } from './world';

/** One thing that a database may make of a question. */
export interface Deed {
  readonly answer: string;
  readonly event: string;
  /** The branch after it, one of {@link Db}. */
  readonly db: number;
  /** `fault`: it may be, and need not. */
  readonly kind?: 'fault';
  readonly broken?: string;
}

/** What may come of a question to the database of a branch. */
export function deedsOf(world: World, position: Asking, db: number): readonly Deed[] {
  switch (position.ask) {
    case 'prepare':
      return preparing(world, db);
    case 'preCommit':
      return preCommitting(db);
    case 'finish':
      return [finishing(decisionOf(position), db)];
    default:
      return [];
  }
}

function preparing(world: World, db: number): Deed[] {
  const { refusals } = world.circumstances;
  const finds = (state: string): string => `finds itself ${state}`;
  // Given up by its recovery, or refused by an earlier attempt.
  if (db === Db.aborted) return [{ answer: 'abort', event: finds('given up'), db }];
  if (db !== Db.nothing)
    return [{ answer: 'commit', event: finds('prepared'), db }, ...(refusals.includes('unknown') ? [unknown(db)] : [])];
  return [
    { answer: 'commit', event: 'prepares', db: Db.prepared },
    ...(refusals.includes('abort')
      ? [{ answer: 'abort', event: 'refuses', db: Db.aborted, kind: 'fault' } as const]
      : []),
    ...(refusals.includes('read-only')
      ? [{ answer: 'read-only', event: 'has changed nothing', db, kind: 'fault' } as const]
      : []),
    ...(refusals.includes('unknown') ? [unknown(db), unknown(Db.prepared)] : []),
  ];
}

const unknown = (db: number): Deed => ({
  answer: 'unknown',
  event: `cannot tell whether it is prepared (it is${db === Db.nothing ? ' not' : ''})`,
  db,
  kind: 'fault',
});

function preCommitting(db: number): Deed[] {
  switch (db) {
    case Db.nothing:
      return [];
    case Db.committed:
      return [{ answer: 'commit', event: 'finds itself committed', db }];
    case Db.aborted:
      return [{ answer: 'abort', event: 'finds itself aborted', db }];
    default:
      return [{ answer: 'done', event: 'writes down that all can commit', db: Db.preCommitted }];
  }
}

function finishing(decision: Decision, db: number): Deed {
  const answer = 'done';
  if (decision === 'abort')
    return db === Db.committed
      ? { answer, event: 'is to abort and has committed', db, broken: 'a branch that took effect is aborted' }
      : { answer, event: 'rolls back', db: Db.aborted };
  return db === Db.nothing || db === Db.aborted
    ? { answer, event: 'is to commit', db, broken: 'a branch is committed that is not prepared' }
    : { answer, event: 'commits', db: Db.committed };
}

/** Proposes to the register. Undefined while it cannot be reached. */
export function registering(world: World, state: Uint8Array, propose: Decision) {
  if (get(state, At.registerDown) > 0) return undefined;
  const found = registerOf(state);
  if (found !== 'none' && world.mechanisms.register === 'written once')
    return {
      decided: found,
      event: `proposes ${propose} to the register and reads ${found}, which was decided before`,
    };
  const broken = found !== 'none' && found !== propose ? { broken: 'the decision changed' } : {};
  return { decided: propose, event: `writes ${propose} into the register`, ...broken };
}
