/**
 * A participant as workflow code sees it: names of operations, with their types. Nothing of the service itself is loaded
 * into the workflow.
 */
import { parseOperationName, parseParticipantName } from '../protocol';
import type { DeclaredOperation, DeclaredParticipant, OperationKind } from '../protocol';

/** An operation of a participant, to be passed to `step`, `pivot` or `retriable`. */
export interface BranchOperation<I = unknown, R = unknown, K extends OperationKind = OperationKind> {
  readonly participant: string;
  readonly operation: string;
  /** Never there at run time. */
  readonly types?: { readonly input: (input: I) => void; readonly result: R; readonly kind: K };
}

/** The operations of a participant, typed by its declaration. */
export type ParticipantProxy<P extends DeclaredParticipant> = {
  readonly [Name in keyof P['operations']]: P['operations'][Name] extends DeclaredOperation<infer I, infer R, infer K>
    ? BranchOperation<I, R, K>
    : never;
};

/**
 * Names a participant in workflow code.
 *
 * @param name its task queue; the same declaration may be deployed under several names
 * @throws {InvalidIdentifier} when the name, or later that of an operation, does not follow the grammar
 * @example
 * import type { accounts } from '../activities/accounts/operations';
 * const bank = participant<typeof accounts>('north-bank');
 * await s.step(bank.debit, { account: 'alice', amount: 100 });
 */
export function participant<P extends DeclaredParticipant>(name: string): ParticipantProxy<P> {
  parseParticipantName(name);
  const operations = new Proxy<Record<string, BranchOperation>>(
    {},
    {
      // Promises and inspectors ask any object for `then` and symbols: a proxy that answers them is taken for something else.
      get: (_, property) =>
        typeof property === 'symbol' || property === 'then'
          ? undefined
          : { participant: name, operation: parseOperationName(property) },
    },
  );
  // Cast: which operations there are is known to the compiler only.
  return operations as unknown as ParticipantProxy<P>;
}
