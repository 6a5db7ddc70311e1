/** A saga as data: what the workflow of the property tests carries out. */

export type Tree =
  | { readonly kind: 'step'; readonly id: string }
  | { readonly kind: 'sequence' | 'parallel'; readonly children: readonly Tree[] };

export interface SagaPlan {
  readonly body: Tree;
  /** Ids of what follows the body: the step that decides and those that must succeed after it. */
  readonly pivot?: string;
  readonly tail: readonly string[];
}
