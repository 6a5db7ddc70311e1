/**
 * How a service declares what it offers: once, for every protocol. The declaration is beside the service; workflow code
 * imports nothing but its type.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { InvalidIdentifier, parseOperationName, parseParticipantName } from '../protocol';
import type { DeclaredOperation, DeclaredParticipant, DoableKind, OperationKind } from '../protocol';
import type { ManyCall, ManyTx, Tx } from './tx';

/** Any schema that follows Standard Schema: zod, valibot, arktype, … */
type Schema = StandardSchemaV1;
type Input<S extends Schema> = StandardSchemaV1.InferInput<S>;
type Output<S extends Schema> = StandardSchemaV1.InferOutput<S>;

interface Definition<S extends Schema, R> {
  /** Checks the input where it enters the service. An input that fails it is refused for good, with code `invalid-input`. */
  readonly input: S;
  /**
   * Does the work, in one local transaction that it cannot end itself. Returns what JSON can hold, at most 1 MiB.
   * Throws a refusal ({@link refuse}) for a business "no"; whatever else it throws is retried.
   */
  execute(tx: Tx, input: Output<S>): Promise<R>;
  /**
   * Does the same for many branches, in one local transaction and in as few statements as it likes. Called where transactions travel
   * in groups; all of them take effect or none. Whatever it throws, a refusal too, has each of them done by itself, by `execute`:
   * so it may refuse as soon as one of them is not plainly possible.
   *
   * @param calls each with the transaction and the branch that it belongs to
   * @returns their results, in the order of the calls
   */
  executeMany?(tx: ManyTx, calls: readonly ManyCall<Output<S>>[]): Promise<readonly R[]>;
}

interface Compensatable<S extends Schema, R> extends Definition<S, R> {
  /**
   * Undoes what `execute` did. Runs only when that took effect, and once. It must succeed sooner or later: a refusal here
   * has no answer but a person.
   */
  compensate(tx: Tx, input: Output<S>, result: R): Promise<void>;
}

interface ReadOnly<S extends Schema, R> extends Definition<S, R> {
  /** Runs in a READ ONLY transaction and is not logged: a repetition reads again. */
  readonly readOnly: true;
}

interface Reservable<S extends Schema, R> {
  /** As for the others. */
  readonly input: S;
  /** Reserves, in one local transaction that it cannot end itself. Throws a refusal ({@link refuse}) when it cannot. */
  try(tx: Tx, input: Output<S>): Promise<R>;
  /**
   * Makes the reservation final, once. It uses only what `try` has put aside, so there is nothing that it could refuse; it
   * is retried until it succeeds.
   */
  confirm(tx: Tx, input: Output<S>, result: R): Promise<void>;
  /** Gives the reservation back, once. Runs only when `try` took effect; it is retried until it succeeds. */
  cancel(tx: Tx, input: Output<S>, result: R): Promise<void>;
}

/** A declared operation. */
export interface Operation<I = unknown, R = unknown, K extends OperationKind = DoableKind> extends DeclaredOperation<
  I,
  R,
  K
> {
  readonly input: Schema;
  /** A reservable one has `try` in its place. */
  execute(tx: Tx, input: unknown): Promise<R>;
  executeMany?(tx: ManyTx, calls: readonly ManyCall<unknown>[]): Promise<readonly unknown[]>;
  compensate?(tx: Tx, input: unknown, result: unknown): Promise<void>;
  confirm?(tx: Tx, input: unknown, result: unknown): Promise<void>;
  cancel?(tx: Tx, input: unknown, result: unknown): Promise<void>;
}

/**
 * Declares an operation: one local transaction that a participant offers.
 *
 * @example
 * const debit = operation({
 *   input: z.object({ account: z.string(), amount: z.int().positive() }),
 *   async execute(tx, { account, amount }) {
 *     const { rows } = await tx.query<{ balance: string }>(
 *       'update account set balance = balance - $2 where id = $1 and balance >= $2 returning balance', [account, amount]);
 *     if (!rows[0]) refuse('insufficient-funds', `Account ${account} cannot pay ${amount}`);
 *     return { balance: Number(rows[0].balance) };
 *   },
 *   async compensate(tx, { account, amount }) {
 *     await tx.query('update account set balance = balance + $2 where id = $1', [account, amount]);
 *   },
 * });
 */
export function operation<S extends Schema, R>(
  definition: Compensatable<S, R>,
): Operation<Input<S>, R, 'compensatable'>;
export function operation<S extends Schema, R>(definition: ReadOnly<S, R>): Operation<Input<S>, R, 'read-only'>;
export function operation<S extends Schema, R>(definition: Reservable<S, R>): Operation<Input<S>, R, 'reservable'>;
export function operation<S extends Schema, R>(definition: Definition<S, R>): Operation<Input<S>, R, 'final'>;
export function operation<S extends Schema, R>(
  definition: Definition<S, R> | Compensatable<S, R> | ReadOnly<S, R> | Reservable<S, R>,
): Operation<Input<S>, R, OperationKind> {
  // Casts: what reaches an operation has passed its schema, and a result comes from its own `execute`.
  const declared = { ...(definition as Omit<Operation<Input<S>, R>, 'kind'>), kind: kindOf(definition) };
  return 'try' in definition ? { ...declared, execute: (tx, input) => definition.try(tx, input) } : declared;
}

const kindOf = (definition: object): OperationKind => {
  if ('readOnly' in definition) return 'read-only';
  if ('try' in definition) return 'reservable';
  return 'compensate' in definition ? 'compensatable' : 'final';
};

/** An operation of any kind. */
export type AnyOperation = Operation<unknown, unknown, OperationKind>;

/** A service as coordinators know it: its name, which is also its task queue, and its operations. */
export interface Participant<
  Operations extends Record<string, AnyOperation> = Record<string, AnyOperation>,
> extends DeclaredParticipant<Operations> {
  readonly operations: Operations;
}

/**
 * Declares a participant.
 *
 * @param name 1 to 63 characters of a-z 0-9 -; the default name and task queue of its workers
 * @param operations by name: 1 to 63 letters and digits, the first a lower-case letter
 * @throws {InvalidIdentifier}
 * @example export const accounts = defineParticipant('accounts', { debit, credit });
 */
export function defineParticipant<const Operations extends Record<string, AnyOperation>>(
  name: string,
  operations: Operations,
): Participant<Operations> {
  for (const operation of Object.keys(operations).map(parseOperationName)) {
    // It would take the place of the activity that releases semantic locks.
    if (operation === 'releaseLocks')
      throw new InvalidIdentifier('operation name', operation, "any other name: this one is the package's own");
  }
  return { name: parseParticipantName(name), operations };
}
