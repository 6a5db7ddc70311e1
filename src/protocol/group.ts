/**
 * What clients, group workflows and participants say to each other where many transactions travel through one workflow.
 *
 * A copy of a transaction in a group only goes forward: it ends in the group, or the group hands it over, as a whole, to a workflow
 * of its own, which runs it again from its start and finds in the branch logs what was done.
 */

/** Name of the workflow type that runs groups. */
export const GROUP_WORKFLOW = 'runGroup';

/** Type of the activity that asks a participant for many branches together. */
export const MANY = 'participant.many';

const GROUP_PREFIX = 'group:';

/** Id of a group's workflow. A colon stands in ids of transactions too, but none of them may begin like this. */
export const groupId = (type: string, unique: string): string => `${GROUP_PREFIX}${type}:${unique}`;

export const isGroupId = (workflowId: string): boolean => workflowId.startsWith(GROUP_PREFIX);

/**
 * Ids of the workflows that may go on with what a group has begun: that of the transaction, or that of the one which it is a part or a
 * further attempt of. Of `x/2/1+3` they are `x/2/1+3`, `x/2/1`, `x/2` and `x`.
 */
export function heirsOf(transaction: string): readonly string[] {
  const [, whole] = /^(.+)[/+]\d+$/.exec(transaction) ?? [];
  return whole === undefined ? [transaction] : [transaction, ...heirsOf(whole)];
}

/** What somebody who traces has handed on: W3C trace context. */
export interface CarriedTrace {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

/** One transaction of a group. */
export interface GroupItem {
  readonly id: string;
  readonly input: unknown;
  /** Hash of the input, as the memo of a workflow of its own would hold it. */
  readonly request: string;
  /** One line for the Web UI, for a workflow of its own. */
  readonly summary?: string;
  /** That of whoever has asked for it. */
  readonly trace?: CarriedTrace;
}

/** What a group is asked for: transactions of one workflow type. */
export interface GroupRequest {
  readonly type: string;
  readonly items: readonly GroupItem[];
}

/** A failure as it is told, with what its cause was made of. */
export interface ToldFailure {
  readonly type?: string;
  readonly message: string;
  readonly details?: readonly unknown[];
  readonly nonRetryable: boolean;
}

/** What became of one transaction of a group. */
export type GroupOutcome =
  | { readonly kind: 'ended'; readonly id: string; readonly result?: unknown }
  | { readonly kind: 'failed'; readonly id: string; readonly failure: ToldFailure }
  /** It goes on, or has ended, as a workflow of its own, under its id. */
  | {
      readonly kind: 'on-its-own';
      readonly id: string;
      readonly why: string;
      /** Whether the group started that workflow, or found one. */
      readonly started: boolean;
    };

/** In the order of the items. */
export interface GroupAnswer {
  readonly outcomes: readonly GroupOutcome[];
}

/** One question among many. */
export interface AskedOfMany {
  /** Activity type, as it would be asked alone: `debit`, `debit.prepare`. */
  readonly activity: string;
  readonly request: object;
  /** That of the transaction, which the one of the group is not. */
  readonly trace?: CarriedTrace;
}

export interface ManyRequest {
  readonly items: readonly AskedOfMany[];
  /**
   * The first run of the group. Another one that asks was reset: what its transactions came to, it cannot know. Absent where a workflow
   * of an older version asks.
   */
  readonly run?: string;
}

export type ManyAnswer =
  | { readonly answer: unknown }
  | { readonly failure: ToldFailure }
  /** It was still at work, had not begun, or its answer had no room: ask again. */
  | 'not-yet';

/** In the order of the items. */
export interface ManyAnswers {
  readonly answers: readonly ManyAnswer[];
}

/** The largest text of one payload. Temporal takes 2 MB, and 4 MB for all of one call; from 512 KB on it warns. */
export const LARGEST_PAYLOAD_BYTES = 500_000;
