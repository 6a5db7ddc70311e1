/** What coordinator and participants of three-phase commit say to each other: a start, and signals. */
import type { RetryPolicy } from '@temporalio/common';
import { defineSignal, getExternalWorkflowHandle, isCancellation } from '@temporalio/workflow';
import type { SignalDefinition } from '@temporalio/workflow';
import type { Ack, Branch, BranchId, Participation, ParticipantState, TransactionId } from '../protocol';
import type { ThreePhaseSettings } from './commit-options';

/** Starts a participant, which is the question whether it can commit. */
export interface ParticipationRequest extends Pick<Branch, 'participant' | 'operation' | 'input'> {
  readonly transaction: TransactionId;
  readonly branch: BranchId;
  readonly request?: string;
  /** Comes back in everything that the coordinator is told. */
  readonly token: string;
  /** Workflow id of the coordinator. */
  readonly coordinator: string;
  /** Name of the participant that has the register. */
  readonly register: string;
  /** Workflow ids of the other participants, and what they know each other by. */
  readonly peers: readonly string[];
  readonly secret: string;
  readonly mode: ThreePhaseSettings['mode'];
  readonly patience: ThreePhaseSettings['patience'];
  readonly prepareMs: number;
  readonly attemptTimeoutMs: number;
  readonly retry: RetryPolicy;
}

/** What became of a participant, as the result of its workflow. */
export interface ParticipationReport {
  readonly transaction: TransactionId;
  readonly branch: BranchId;
  readonly outcome: Participation;
  /** How its database followed. Absent where there was nothing to finish. */
  readonly ack?: Ack;
}

/**
 * A coordinator that starts again asks the participants that are there: `{ coordinator, token, operation, input, request, register }`.
 * One of the version before does not say the register.
 */
export const canCommitSignal = defineSignal<[unknown]>('canCommit');
/** All have voted `commit`: `{ token }` from the coordinator, `{ secret }` from another participant. */
export const preCommitSignal = defineSignal<[unknown]>('preCommit');
/** It is decided: `{ token }`. */
export const doCommitSignal = defineSignal<[unknown]>('doCommit');
export const doAbortSignal = defineSignal<[unknown]>('doAbort');
/** Another participant hears nothing of the coordinator: `{ secret, from }`. */
export const inquireSignal = defineSignal<[unknown]>('inquire');
/** The answer: `{ secret, from, state }`. */
export const standSignal = defineSignal<[unknown]>('stand');

/** No transaction id has a `#`, so no transaction can be taken for a participant. */
export const participantWorkflowId = (transaction: TransactionId, branch: BranchId): string =>
  `${transaction}#${branch}`;

const STATES: readonly unknown[] = [
  'initial',
  'uncertain',
  'pre-committed',
  'committed',
  'aborted',
] satisfies ParticipantState[];

// Cast: it is one of them.
export const readState = (value: unknown): ParticipantState | undefined =>
  STATES.includes(value) ? (value as ParticipantState) : undefined;

/** Reads a message into a fresh object. What is none has no fields, and so no token. */
export function fieldsOf(message: unknown): Readonly<Record<string, unknown>> {
  try {
    return typeof message === 'object' && message !== null ? { ...message } : {};
  } catch {
    return {};
  }
}

/** Sends a signal. False when nobody is there to hear it, which says nothing of what became of them. */
export async function signal(
  workflowId: string,
  definition: SignalDefinition<[unknown]>,
  message: unknown,
): Promise<boolean> {
  try {
    await getExternalWorkflowHandle(workflowId).signal(definition, message);
    return true;
  } catch (error) {
    if (isCancellation(error)) throw error;
    return false;
  }
}
