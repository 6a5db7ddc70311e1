/**
 * The words that every room uses: identifiers, votes, decisions, outcomes. Identifiers are branded, so that a branch id
 * cannot be passed where a transaction id is meant, and have a strict grammar, because they end up in SQL, in task queue
 * names, in search attributes and on screens.
 */
import { InvalidIdentifier } from './errors';

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** Names one business operation across services. It is the Temporal workflow id and the idempotency key. */
export type TransactionId = Branded<string, 'TransactionId'>;
/** Names one operation of one transaction. Unique in its transaction. */
export type BranchId = Branded<string, 'BranchId'>;

/** A branch's answer to the question whether it can commit. */
export type Vote =
  /** It is prepared: it will do what is decided, whatever crashes. */
  | 'commit'
  /** It cannot, and what it had done is rolled back for good. */
  | 'abort'
  /** It changed nothing, so the decision is nothing to it. */
  | 'read-only';

/** What becomes of all branches alike. */
export type Decision = 'commit' | 'abort';

/** How a transaction ended, or that it waits for a person. */
export type TransactionOutcome =
  /** Every branch took effect. */
  | 'committed'
  /** No branch took effect. */
  | 'aborted'
  /** Branches took effect and every one of them was undone. */
  | 'compensated'
  /** Not ended: a step or compensation waits for a person. */
  | 'held'
  /** Some branches took effect and stayed, others did not. A person has accepted that, or caused it. */
  | 'mixed';

interface Grammar {
  readonly field: string;
  readonly pattern: RegExp;
  readonly allowed: string;
}

const TRANSACTION_ID: Grammar = {
  field: 'transaction id',
  pattern: /^[A-Za-z0-9][A-Za-z0-9._:@/=+-]{0,254}$/,
  allowed: '1 to 255 characters of A-Z a-z 0-9 . _ : @ / = + -, the first a letter or digit',
};

/** Further attempts at a transaction are transactions of their own: `<id>+2`, `<id>+3`, … */
const NEW_TRANSACTION_ID: Grammar = {
  field: 'transaction id',
  pattern: /^(?!group:)(?!.*\+\d+$)[A-Za-z0-9][A-Za-z0-9._:@/=+-]{0,249}$/,
  allowed:
    '1 to 250 characters of A-Z a-z 0-9 . _ : @ / = + -, the first a letter or digit, without + and a number at the end, which names a further attempt, and without group: at the beginning, which names a group',
};

const BRANCH_ID: Grammar = {
  field: 'branch id',
  pattern: /^[A-Za-z0-9][A-Za-z0-9._:-]{0,159}$/,
  allowed: '1 to 160 characters of A-Z a-z 0-9 . _ : -, the first a letter or digit',
};

const PARTICIPANT_NAME: Grammar = {
  field: 'participant name',
  pattern: /^[a-z][a-z0-9-]{0,62}$/,
  allowed: '1 to 63 characters of a-z 0-9 -, the first a letter',
};

const OPERATION_NAME: Grammar = {
  field: 'operation name',
  pattern: /^[a-z][A-Za-z0-9]{0,62}$/,
  allowed: '1 to 63 letters and digits, the first a lower-case letter',
};

/**
 * Reads a transaction id.
 *
 * @throws {InvalidIdentifier} when it is not 1 to 255 characters of the grammar.
 * @example parseTransactionId('transfer-4711')
 */
export const parseTransactionId = (value: unknown): TransactionId => parse(TRANSACTION_ID, value) as TransactionId;

/**
 * Reads a transaction id that somebody gives to a new transaction.
 *
 * @throws {InvalidIdentifier} when it is longer than 250 characters, or ends as that of a further attempt does (`+2`)
 */
export const parseNewTransactionId = (value: unknown): TransactionId =>
  parse(NEW_TRANSACTION_ID, value) as TransactionId;

/**
 * Reads a branch id.
 *
 * @throws {InvalidIdentifier} when it is not 1 to 160 characters of the grammar.
 */
export const parseBranchId = (value: unknown): BranchId => parse(BRANCH_ID, value) as BranchId;

/** Reads a participant's name, which is also its task queue. @throws {InvalidIdentifier} */
export const parseParticipantName = (value: unknown): string => parse(PARTICIPANT_NAME, value);

/** Reads an operation's name, which is also its activity type. @throws {InvalidIdentifier} */
export const parseOperationName = (value: unknown): string => parse(OPERATION_NAME, value);

function parse({ field, pattern, allowed }: Grammar, value: unknown): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw new InvalidIdentifier(field, value, allowed);
  return value;
}
