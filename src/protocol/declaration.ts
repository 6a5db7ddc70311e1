/**
 * What workflow code may know of a participant's declaration: its types. The declaration itself lives beside the service and
 * imports pg; a workflow imports only `typeof accounts`, and these shapes carry the inputs and results across.
 */

/** What can become of an operation's effect. */
export type OperationKind =
  /** Has a `compensate`: may be a step before the pivot. */
  | 'compensatable'
  /** Has none: a pivot, or a retriable step after it. */
  | 'final'
  /** Changes nothing, so there is nothing to undo. */
  | 'read-only'
  /** Reserves; is confirmed or cancelled later. */
  | 'reservable';

/** Operations that are done, or prepared and done later. The others reserve. */
export type DoableKind = Exclude<OperationKind, 'reservable'>;

/** An operation seen from outside. `types` is never there at run time. */
export interface DeclaredOperation<I = unknown, R = unknown, K extends OperationKind = DoableKind> {
  readonly kind: K;
  readonly types?: { readonly input: I; readonly result: R };
}

/** A participant seen from outside. */
export interface DeclaredParticipant<
  Operations extends Record<string, DeclaredOperation<unknown, unknown, OperationKind>> = Record<
    string,
    DeclaredOperation<unknown, unknown, OperationKind>
  >,
> {
  readonly name: string;
  readonly operations: Operations;
}
