/** How the coordinator of three-phase commit reaches its participants: starts their workflows, and sends them signals. */
import {
  ChildWorkflowCancellationType,
  ParentClosePolicy,
  startChild,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import type { SignalDefinition } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError, WorkflowIdReusePolicy } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time';
import { AbortCode } from '../protocol';
import type { Ack, BranchId, Decision } from '../protocol';
import type { ThreePhaseSettings } from './commit-options';
import { groupOf } from './event-group';
import { messageOf } from './failures';
import { isOwnMember, primaryOf } from './member';
import type { OwnMember } from './member';
import type { Attempt } from './phases';
import {
  canCommitSignal,
  doAbortSignal,
  doCommitSignal,
  participantWorkflowId,
  preCommitSignal,
  signal,
} from './three-phase-messages';
import type { ParticipationRequest } from './three-phase-messages';

/** Name of the workflow that every participant's worker knows. */
const PARTICIPANT_WORKFLOW = 'participateInThreePhaseCommit';

export class ParticipantLinks {
  readonly members: readonly OwnMember[];
  /** What participants know each other by. */
  readonly #secret = uuid4();
  /** Whether somebody heard the decision. */
  readonly #told = new Map<BranchId, Promise<boolean>>();

  constructor(
    private readonly attempt: Attempt,
    private readonly settings: ThreePhaseSettings,
  ) {
    this.members = attempt.members.filter(isOwnMember);
  }

  /** Asks a branch whether it can commit. A failure is a vote to abort: nobody is there who could have prepared. */
  async canCommit(member: OwnMember): Promise<void> {
    const { token, branch, id } = member;
    const { ballot } = this.attempt.box;
    try {
      await startChild(PARTICIPANT_WORKFLOW, {
        args: [this.#requestFor(member)],
        workflowId: this.#workflowIdOf(member),
        taskQueue: branch.participant,
        // It has to outlive us, and nothing of ours may end it.
        parentClosePolicy: ParentClosePolicy.ABANDON,
        cancellationType: ChildWorkflowCancellationType.ABANDON,
        workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
        staticSummary: `Branch ${id} of ${this.attempt.context.id}`,
        eventGroups: [groupOf(this.attempt.context.id, id)],
      });
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) {
        // We were reset, or are a second run: the participant goes on from where it is. One that has ended answers nothing, and
        // what became of it is in the register.
        const { operation, input } = branch;
        const { request } = this.attempt.context;
        const register = this.#register;
        const message = { coordinator: workflowInfo().workflowId, token, operation, input, request, register };
        if (await this.#signal(member, canCommitSignal, message)) return;
        return ballot.answer(id, { vote: 'abort', reason: { code: AbortCode.DecidedBefore, message: ENDED } });
      }
      ballot.answer(id, { vote: 'abort', reason: { code: AbortCode.Failed, message: messageOf(error) } });
    }
  }

  async preCommit(members: readonly OwnMember[]): Promise<void> {
    await Promise.all(members.map((member) => this.#signal(member, preCommitSignal, { token: member.token })));
  }

  /** Sends the decision to everybody, without waiting. */
  announce(decision: Decision): void {
    const definition = decision === 'commit' ? doCommitSignal : doAbortSignal;
    for (const member of this.members) {
      if (this.attempt.box.ballot.voteOf(member.id) === 'read-only') continue;
      this.#told.set(member.id, this.#signal(member, definition, { token: member.token }));
    }
  }

  /** Waits until a participant says that it has followed. Undefined when nobody is there, or says so in time. */
  async followed(
    { id }: OwnMember,
    decision: Decision,
    waiting: (isDone: () => boolean) => Promise<boolean>,
  ): Promise<Ack | undefined> {
    const { acked } = this.attempt.box;
    if (!(await this.#told.get(id)) && !acked.has(id)) return undefined;
    if (!(await waiting(() => acked.has(id)))) return undefined;
    const { result, took = decision } = acked.get(id) ?? {};
    if (took !== decision) return { kind: 'heuristic', took, evidence: ALONE };
    return { kind: 'applied', ...(result === undefined ? {} : { result }) };
  }

  /** Waits for what is being sent: it would be lost with the end of this workflow. */
  async sent(): Promise<void> {
    await Promise.all(this.#told.values());
  }

  #signal(member: OwnMember, definition: SignalDefinition<[unknown]>, message: unknown): Promise<boolean> {
    const group = groupOf(this.attempt.context.id, member.id);
    return group.withScope(() => signal(this.#workflowIdOf(member), definition, message));
  }

  /** Name of the participant that has the register. */
  get #register(): string {
    return primaryOf(this.members).branch.participant;
  }

  #workflowIdOf({ id }: OwnMember): string {
    return participantWorkflowId(this.attempt.context.id, id);
  }

  #requestFor(member: OwnMember): ParticipationRequest {
    const { context } = this.attempt;
    const { participant, operation, input } = member.branch;
    const { mode, patience, timeouts, attemptTimeout, retry } = this.settings;
    return {
      transaction: context.id,
      branch: member.id,
      participant,
      operation,
      input,
      ...(context.request === undefined ? {} : { request: context.request }),
      token: member.token,
      coordinator: workflowInfo().workflowId,
      register: this.#register,
      peers: this.members.filter((other) => other !== member).map((other) => this.#workflowIdOf(other)),
      secret: this.#secret,
      mode,
      patience,
      prepareMs: msToNumber(timeouts.prepare),
      attemptTimeoutMs: msToNumber(attemptTimeout),
      retry,
    };
  }
}

const ALONE = 'Its participant has come to another decision without the coordinator, and has followed that.';
const ENDED = 'Its participant has ended, in an earlier run of this transaction.';
