/**
 * The names of our prepared transactions.
 *
 * A gid is unique in a whole server, is shown to every role of it, and cannot be a bind parameter. So it has a strict
 * grammar, holds hashes instead of ids, names the participant and the register so that recovery needs nothing else, and is
 * quoted by the driver all the same. It has no attempt number: with one, two attempts could be prepared side by side and
 * both commit.
 */
import { createHash } from 'node:crypto';
import { canonicalJson, parseParticipantName, show } from '../protocol';
import type { BranchRequest } from '../protocol';
import { InvalidGidError } from './errors';

declare const brand: unique symbol;
/** Name of a prepared transaction of ours. */
export type Gid = string & { readonly [brand]: 'Gid' };
/** Name of a transaction in registers and gids. */
export type TransactionKey = string & { readonly [brand]: 'TransactionKey' };

/** What a gid says. */
export interface GidParts {
  /** Hash of the Temporal namespace: deployments that share a server leave each other's prepared transactions alone. */
  readonly scope: string;
  readonly transaction: TransactionKey;
  /** Hash of the branch id. */
  readonly branch: string;
  /** Hash of what was asked for: another request under the same ids is another gid. */
  readonly request: string;
  /** The participant that has the register. */
  readonly register: string;
  /** The participant that it is prepared at. */
  readonly participant: string;
}

/** PostgreSQL takes up to 199 bytes; the longest of ours has 196. */
const GID =
  /^txn1_([0-9a-f]{8})_([0-9a-f]{32})_([0-9a-f]{12})_([0-9a-f]{8})_([a-z][a-z0-9-]{0,62})_([a-z][a-z0-9-]{0,62})$/;

const digest = (text: string, digits: number): string =>
  createHash('sha256').update(text).digest('hex').slice(0, digits);

/** The name of a transaction in registers and gids: 128 bits of a hash of its id. */
export const keyOf = (transaction: string): TransactionKey => digest(transaction, 32) as TransactionKey;

/** The part of a gid that names the branch: 48 bits of a hash of its id, within one transaction. */
export const branchKeyOf = (branch: string): string => digest(branch, 12);

/** The part of a gid that tells deployments on one server apart. */
export const scopeOf = (namespace: string): string => digest(namespace, 8);

/**
 * The gid of a branch. The same for every attempt.
 *
 * @throws {InvalidIdentifier} when a participant's name does not follow the grammar
 */
export function gidOf(
  { transaction, branch, input, request }: BranchRequest,
  place: {
    readonly operation: string;
    readonly register: string;
    readonly participant: string;
    readonly namespace: string;
  },
): Gid {
  const parts = [
    scopeOf(place.namespace),
    keyOf(transaction),
    branchKeyOf(branch),
    digest(canonicalJson([place.operation, input, request]), 8),
    parseParticipantName(place.register),
    parseParticipantName(place.participant),
  ];
  return `txn1_${parts.join('_')}` as Gid;
}

/** Reads a gid, if it is one of ours. */
export function readGid(text: string): GidParts | undefined {
  const [, scope, transaction, branch, request, register, participant] = GID.exec(text) ?? [];
  if (scope === undefined || transaction === undefined || branch === undefined) return undefined;
  if (request === undefined || register === undefined || participant === undefined) return undefined;
  return { scope, transaction: transaction as TransactionKey, branch, request, register, participant };
}

/** @throws {InvalidGidError} when it is not one of ours */
export function parseGid(text: unknown): Gid {
  if (typeof text !== 'string' || readGid(text) === undefined) throw new InvalidGidError(show(text));
  return text as Gid;
}

/** The same branch of the same transaction, whatever was asked for. */
export const sameBranch = (a: GidParts, b: GidParts): boolean =>
  a.scope === b.scope && a.transaction === b.transaction && a.branch === b.branch && a.participant === b.participant;

/** @throws {InvalidGidError} when it is not the key of a transaction */
export function parseTransactionKey(text: unknown): TransactionKey {
  if (typeof text !== 'string' || !/^[0-9a-f]{32}$/.test(text)) throw new InvalidGidError(show(text));
  return text as TransactionKey;
}
