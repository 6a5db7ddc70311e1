/**
 * The search attributes by which transactions are found in the Temporal Web UI. Hold no personal data in them: they are
 * readable by everyone who may list workflows, and no codec encrypts them.
 *
 * An upsert costs a history event and a billable action, so a transaction that simply commits makes none: its workflow
 * status, Completed, says it all. The attributes tell everything else.
 */

/** The value types of the attributes, as the SDK names them. */
export type SearchAttributeType = 'KEYWORD' | 'KEYWORD_LIST' | 'BOOL';

/** What `TxnStatus` can be. A transaction without it is running or has committed, as its workflow status says. */
export type TxnStatus = 'compensating' | 'overdue' | 'held' | 'compensated' | 'aborted' | 'mixed' | 'committed';

export const SEARCH_ATTRIBUTES = {
  /** How the transaction stands, once it is anything but plainly running or committed: see {@link TxnStatus}. */
  TxnStatus: 'KEYWORD',
  /** `saga`, `two-phase-commit`, `three-phase-commit`, `try-confirm-cancel` */
  TxnProtocol: 'KEYWORD',
  /** Names of the participants that it has branches at. */
  TxnParticipants: 'KEYWORD_LIST',
  /** True while it waits for a person. */
  TxnNeedsAttention: 'BOOL',
  /** Branch id of the step to look at first. */
  TxnFailedStep: 'KEYWORD',
} as const satisfies Record<string, SearchAttributeType>;

/** The same as a list, for registering them. */
export const searchAttributeList = (): { name: string; type: SearchAttributeType }[] =>
  Object.entries(SEARCH_ATTRIBUTES).map(([name, type]) => ({ name, type }));
