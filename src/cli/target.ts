/** What `resolve` and `accept` are asked about: a transaction by its id, or by the gid of one of its branches. */
import { keyOf, readGid, scopeOf } from '../participant';
import type { Gid, TransactionKey } from '../participant';
import { parseBranchId, parseTransactionId } from '../protocol';
import type { BranchId, TransactionId } from '../protocol';
import { InvalidArgument, OtherNamespace } from './errors';

export type Target =
  | { readonly kind: 'transaction'; readonly key: TransactionKey; readonly transaction: TransactionId }
  | {
      readonly kind: 'gid';
      readonly key: TransactionKey;
      readonly gid: Gid;
      /** Hash of the branch id. */
      readonly branch: string;
      /** The participant that it is prepared at. */
      readonly participant: string;
      /** The participant that has the register. */
      readonly register: string;
    };

/** No transaction can be named so that its id is taken for a gid. */
export const looksLikeGid = (text: string): boolean => text.startsWith('txn1_');

/**
 * Reads what was typed.
 *
 * @throws {InvalidArgument} when it is neither a gid nor a transaction id
 * @throws {OtherNamespace} when the gid belongs to another Temporal namespace
 */
export function parseTarget(text: string, namespace: string): Target {
  const parts = readGid(text);
  if (parts !== undefined) {
    const gid = text as Gid; // Cast: it has just been read.
    if (parts.scope !== scopeOf(namespace)) throw new OtherNamespace(gid, namespace);
    const { transaction: key, branch, participant, register } = parts;
    return { kind: 'gid', gid, key, branch, participant, register };
  }
  if (looksLikeGid(text))
    throw new InvalidArgument(
      'the gid',
      text,
      'It is not one of this package: copy it whole from temporal-txn in-doubt.',
    );
  try {
    const transaction = parseTransactionId(text);
    return { kind: 'transaction', transaction, key: keyOf(transaction) };
  } catch {
    throw new InvalidArgument(
      'the transaction id',
      text,
      'Use 1 to 255 characters of A-Z a-z 0-9 . _ : @ / = + -, the first a letter or digit; or a gid of temporal-txn in-doubt.',
    );
  }
}

/** A recorded id as one of ours, when the key was made of it: records can be wrong. */
export function transactionIdFor(recorded: string, key: TransactionKey): TransactionId | undefined {
  try {
    const transaction = parseTransactionId(recorded);
    return keyOf(transaction) === key ? transaction : undefined;
  } catch {
    return undefined;
  }
}

/** Reads the id of a branch. @throws {InvalidArgument} */
export function parseBranch(text: string): BranchId {
  try {
    return parseBranchId(text);
  } catch {
    throw new InvalidArgument('--branch', text, 'Copy the id of the branch from temporal-txn audit.');
  }
}

const LONGEST = 500;

/** Who does it, or why: it is kept, and read by people who want to know. @throws {InvalidArgument} */
export function parseText(option: '--by' | '--reason', text: string): string {
  const trimmed = text.trim();
  const remedy = option === '--by' ? 'Say who you are.' : 'Say why: it is kept.';
  if (trimmed === '') throw new InvalidArgument(option, text, remedy);
  if (trimmed.length > LONGEST) throw new InvalidArgument(option, text, `Use at most ${LONGEST} characters.`);
  return trimmed;
}

/** How the target is called in messages. */
export const nameOf = (target: Target): string => (target.kind === 'gid' ? target.gid : target.transaction);
