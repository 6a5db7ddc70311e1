/**
 * A participant as workflows and clients see it: names of operations, with their types. Nothing of the service itself is
 * loaded there.
 */
import type { DeclaredOperation, DeclaredParticipant, DoableKind, OperationKind } from './declaration';
import { parseOperationName, parseParticipantName } from './words';

/** An operation of a participant, to be passed to `step`, `pivot` or `retriable`. */
export interface BranchOperation<I = unknown, R = unknown, K extends OperationKind = DoableKind> {
  readonly participant: string;
  readonly operation: string;
  /** Whether the coordinator's own process is asked first, see {@link ParticipantProxyOptions.colocated}. */
  readonly colocated?: true;
  /** Never there at run time. */
  readonly types?: { readonly input: (input: I) => void; readonly result: R; readonly kind: K };
}

/** The operations of a participant, typed by its declaration. */
export type ParticipantProxy<P extends DeclaredParticipant> = {
  readonly [Name in keyof P['operations']]: P['operations'][Name] extends DeclaredOperation<infer I, infer R, infer K>
    ? BranchOperation<I, R, K>
    : never;
};

export interface ParticipantProxyOptions {
  /**
   * Whether the participant lives in the process of the coordinator (`runCoordinator({ colocated })`). Its branches are asked there first, without
   * a task of their own: a fraction of the latency, of the history and of the billable actions. What fails there, or where a coordinator
   * has no such participant, is asked again by an activity, as ever. Part of the code of the workflow: a change of it is one of the code.
   * @default false
   */
  readonly colocated?: boolean;
}

/**
 * Names a participant in the code of a workflow or a client.
 *
 * @param name its task queue; the same declaration may be deployed under several names
 * @throws {InvalidIdentifier} when the name, or later that of an operation, does not follow the grammar
 * @example
 * import type { accounts } from '../activities/accounts/operations';
 * const bank = participant<typeof accounts>('north-bank');
 * await s.step(bank.debit, { account: 'alice', amount: 100 });
 */
export function participant<P extends DeclaredParticipant>(
  name: string,
  { colocated = false }: ParticipantProxyOptions = {},
): ParticipantProxy<P> {
  parseParticipantName(name);
  const operations = new Proxy<Record<string, BranchOperation>>(
    {},
    {
      // Promises and inspectors ask any object for `then` and symbols: a proxy that answers them is taken for something else.
      get: (_, property) =>
        typeof property === 'symbol' || property === 'then'
          ? undefined
          : { participant: name, operation: parseOperationName(property), ...(colocated ? { colocated } : {}) },
    },
  );
  // Cast: which operations there are is known to the compiler only.
  return operations as unknown as ParticipantProxy<P>;
}

/** Type of the activity that asks a participant in the process of the coordinator. */
export const colocatedActivity = (participant: string, activity: string): string => `${participant}/${activity}`;

/** Whom an activity asks, and what. @param taskQueue of its worker: that of a participant has its name */
export function askedBy(
  activityType: string,
  taskQueue: string,
): { readonly participant: string; readonly question: string } {
  const [first, second] = activityType.split('/', 2) as [string, string | undefined];
  return second === undefined ? { participant: taskQueue, question: first } : { participant: first, question: second };
}

/** One operation of a participant, with its input: a branch of a transaction of two- or three-phase commit. */
export interface Branch<R = unknown> {
  readonly participant: string;
  readonly operation: string;
  /** As for its operation. */
  readonly colocated?: true;
  readonly input: unknown;
  /** Branch id. @default `<participant>.<operation>`, a repeated one with `-2`, `-3`, … */
  readonly id?: string;
  /** Never there at run time. */
  readonly types?: { readonly result: R };
  readonly reserves?: never;
}

/** One operation that reserves, with its input: a branch of a transaction of try-confirm-cancel. */
export interface Reservation<R = unknown> extends Omit<Branch<R>, 'reserves'> {
  readonly reserves: true;
}

/**
 * A branch of a transaction.
 *
 * @param operation of a participant: see {@link participant}
 * @param options `id`: needed only where the same operation takes part twice and code may change
 * @example branch(bank.debit, { account: 'alice', amount: 100, currency: 'EUR' })
 */
export const branch = <I, R>(
  { types: _, ...operation }: BranchOperation<I, R>,
  input: NoInfer<I>,
  options: { readonly id?: string } = {},
): Branch<R> => ({ ...operation, input, ...options });

/**
 * A reservation, as a branch of a transaction of try-confirm-cancel.
 *
 * @param operation of a participant, declared with `try`, `confirm` and `cancel`
 * @param options `id`: needed only where the same operation takes part twice and code may change
 * @example reservation(hotel.room, { city: 'Lisbon', nights: 3 })
 */
export const reservation = <I, R>(
  { types: _, ...operation }: BranchOperation<I, R, 'reservable'>,
  input: NoInfer<I>,
  options: { readonly id?: string } = {},
): Reservation<R> => ({ ...operation, input, reserves: true, ...options });
