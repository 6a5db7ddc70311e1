/**
 * One transaction of a group: runs the unchanged workflow function, and stands between it and the participants.
 *
 * It only goes forward. What would undo something, find something out, or wait for a person is not done here: the transaction
 * leaves the group as a whole, and a workflow of its own runs it again from its start. That is safe because this copy never does
 * anything more, every branch answers from its log what was done, and two-phase commit is decided by its register. And it is
 * never alone in doubt: a branch that somebody else has done already means that somebody else may be at work, so it leaves too.
 */
import { RawValue } from '@temporalio/common';
import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import { carriedTrace, continuing, inSpan, isTraced, SPAN_ATTRIBUTES, SPANS } from '../../observability';
import { isEnded, LARGEST_PAYLOAD_BYTES } from '../../protocol';
import type {
  AskedStep,
  CarriedTrace,
  ExecuteAnswer,
  GroupItem,
  GroupOutcome,
  Heritage,
  ToldFailure,
  TransactionReport,
} from '../../protocol';
import { asMember } from '../context';
import type { Membership } from '../context';
import { dispatcherOver, withoutSignals } from '../dispatch';
import type { Addressee, BranchCall, Dispatcher, Effort } from '../dispatch';
import { messageOf } from '../failures';
import { OpenTransactions } from '../open-transactions';
import { rejecting } from '../rejecting';
import { attemptTimeoutOf } from './batches';
import type { Batches } from './batches';
import { bytesOf } from './bytes';
import type { Ending } from './tally';

/** A workflow function that takes one input. */
export type TransactionFunction = (input: never) => Promise<unknown>;

/** For people, in the answer of a group that has little room. */
const LONGEST_WHY = 200;

export class Traveller implements Membership {
  readonly #began = Date.now();
  #outcome: GroupOutcome | undefined;
  #outcomeBytes = 0;
  #left: string | undefined;
  #waiting = 0;
  #askedAgain = 0;
  #unsent = 0;
  #lastHeard = Date.now();
  #report: TransactionReport | undefined;
  /** How its transaction has ended. Its function may do something else afterwards. */
  #ending: Ending | undefined;
  #isTold = false;
  #forever: Promise<never> | undefined;
  #over: Promise<{ readonly outcome: GroupOutcome['kind'] }> | undefined;
  #tellOver: (end: { readonly outcome: GroupOutcome['kind'] }) => void = () => undefined;
  #trace: { readonly trace?: CarriedTrace } = {};
  readonly #open = new OpenTransactions();
  /** What it has asked for as steps of a saga, by branch. */
  readonly #asked = new Map<string, Omit<AskedStep, 'role'>>();
  #askedBytes = 0;
  #bytesToHandOver: number;

  constructor(
    readonly item: GroupItem,
    private readonly batches: Batches,
    /** Told when it has ended, or wants to leave. */
    private readonly changed: () => void,
  ) {
    this.#bytesToHandOver = bytesOf(item);
  }

  get outcome(): GroupOutcome | undefined {
    return this.#outcome;
  }

  /** What that takes in the answer of the group, where it has ended here. */
  get outcomeBytes(): number {
    return this.#outcomeBytes;
  }

  /** Why it wants to go on as a workflow of its own, until it does. */
  get leaving(): string | undefined {
    return this.#outcome ? undefined : this.#left;
  }

  /** Whether it waits for nothing that the group has asked for. */
  get isIdle(): boolean {
    return this.#waiting === 0;
  }

  /** Whether it waits for something that had to be asked again. The others only wait for their turn. */
  get isInTrouble(): boolean {
    return this.#askedAgain > 0;
  }

  /** When something was heard of it. What waits to be sent does not count as silence. */
  get lastHeard(): number {
    return this.#unsent > 0 ? Date.now() : this.#lastHeard;
  }

  get report(): TransactionReport | undefined {
    return this.#report;
  }

  /** How its transaction has ended, for the metrics. Nothing where they know, or where the workflow of its own is to tell them. */
  takeEnding(): Ending | undefined {
    if (this.#isTold || this.#outcome === undefined || this.#outcome.kind === 'on-its-own') return undefined;
    this.#isTold = this.#ending !== undefined;
    return this.#ending;
  }

  get over(): Promise<{ readonly outcome: GroupOutcome['kind'] }> {
    return (this.#over ??= new Promise((resolve) => (this.#tellOver = resolve)));
  }

  /** About what it would take to have a workflow of its own go on with it. */
  get bytesToHandOver(): number {
    return this.#bytesToHandOver;
  }

  /** For whoever goes on with it. */
  get heritage(): Heritage {
    const steps = this.#report?.protocol === 'saga' ? this.#report.steps : [];
    const roleOf = (branch: string): AskedStep['role'] =>
      steps.find((step) => step.branch === branch)?.role ?? 'compensatable';
    const asked = [...this.#asked.values()].map((step) => ({ ...step, role: roleOf(step.branch) }));
    return { group: workflowInfo().workflowId, asked };
  }

  /** What the metrics know of it, for whoever goes on with it. */
  get told(): Pick<Heritage, 'began' | 'told'> {
    return { began: this.#began, ...(this.#isTold ? { told: true } : {}) };
  }

  /** Of this copy, for what goes on elsewhere. */
  get trace(): CarriedTrace | undefined {
    return this.#trace.trace;
  }

  /** Runs the function, as far as it comes. @param type its name */
  start(type: string, run: TransactionFunction): void {
    if (!isTraced()) return this.#run(run);
    const { id, trace } = this.item;
    const attributes = { [SPAN_ATTRIBUTES.transaction]: id, [SPAN_ATTRIBUTES.group]: workflowInfo().workflowId };
    const look = (): Promise<{ readonly outcome: string }> => {
      this.#trace = carriedTrace();
      this.#run(run);
      return this.over;
    };
    void inSpan({ name: `${SPANS.member}${type}`, attributes, ...continuing(trace) }, look, (end) => end);
  }

  #run(run: TransactionFunction): void {
    const { id, input, request } = this.item;
    // Cast: the caller gave what the function takes.
    const body = (): Promise<unknown> => rejecting(() => Promise.resolve(run(input as never)));
    asMember({ id, request, membership: this, dispatcher: this.#dispatcher(), open: this.#open }, body).then(
      (result) => this.#end({ kind: 'ended', id, ...(result === undefined ? {} : { result }) }),
      (error: unknown) => {
        if (error instanceof ApplicationFailure) this.#end({ kind: 'failed', id, failure: told(error) });
        // A bug, or a failure that only a workflow of its own can tell as it is.
        else void this.leave(messageOf(error));
      },
    );
  }

  leave(why: string): Promise<never> {
    if (!this.#outcome && this.#left === undefined) {
      this.#left = why;
      this.#tellOver({ outcome: 'on-its-own' });
      this.changed();
    }
    return this.#never();
  }

  #never(): Promise<never> {
    return (this.#forever ??= new Promise(() => undefined));
  }

  /** It goes on elsewhere. */
  left(started: boolean): void {
    const why = (this.#left ?? '').slice(0, LONGEST_WHY);
    this.#outcome = { kind: 'on-its-own', id: this.item.id, why, started };
    this.changed();
  }

  pause(): Promise<void> {
    return this.batches.pause();
  }

  show(report: TransactionReport): void {
    if (this.#left !== undefined) return;
    this.#report = report;
    if (isEnded(report)) this.#ending = { report, tookMs: Date.now() - this.#began };
  }

  #end(outcome: GroupOutcome): void {
    if (this.#left !== undefined) return;
    if (this.#open.areOpen) return void this.leave('it ends before its transaction has');
    // The answer of a group is one JSON for all: what cannot be written in there would keep everybody waiting. Alone it fails or ends by itself.
    if (carriedBy(outcome).some(isMoreThanJson)) return void this.leave('what it ends with is more than JSON');
    try {
      this.#outcomeBytes = bytesOf(outcome);
    } catch (error) {
      return void this.leave(`what it ends with cannot be written: ${messageOf(error)}`);
    }
    this.#outcome = outcome;
    this.#tellOver({ outcome: outcome.kind });
    this.changed();
  }

  /** It has ended, but there is no room to say so: the workflow of its own finds everything done. */
  retract(why: string): void {
    this.#outcome = undefined;
    void this.leave(why);
  }

  #dispatcher(): Dispatcher {
    const usual = withoutSignals(dispatcherOver((...asked) => this.#ask(...asked)));
    const elsewhere = (what: string) => () => this.leave(what);
    return {
      ...usual,
      execute: (call, effort) =>
        this.#note(call) ? usual.execute(call, effort) : this.leave('its steps have no room in what it would leave'),
      compensate: elsewhere('it has to be undone'),
      query: elsewhere('it is not known what a branch did'),
      preCommit: elsewhere('it commits in three phases'),
      readDecision: elsewhere('it may be decided'),
      propose: elsewhere('it is to be decided'),
      health: elsewhere('a participant does not answer'),
    };
  }

  /** What is asked for goes on record first. @returns false where it has no room in what whoever goes on can be told */
  #note({ branch, participant, operation, input }: BranchCall): boolean {
    const step = { branch, participant, operation, input };
    const bytes = bytesOf(step);
    if (this.#askedBytes + bytes > LARGEST_PAYLOAD_BYTES) return false;
    this.#askedBytes += bytes;
    this.#asked.set(branch, step);
    return true;
  }

  /** It was not done here: refused, fenced, or done by somebody else. */
  #forget(request: object): void {
    this.#asked.delete(branchOf(request));
  }

  /** One promise for a question, whatever is to be done when it is answered: they are what a large group spends its time on. */
  #ask<Answer>(
    { participant, colocated }: Addressee,
    activity: string,
    request: object,
    effort: Effort,
  ): Promise<Answer> {
    if (this.#left !== undefined) return this.#never();
    this.#waiting++;
    this.#unsent++;
    let again = 0;
    const over = (): void => {
      this.#waiting--;
      if (again > 0) this.#askedAgain--;
    };
    return new Promise<Answer>((resolve, reject) => {
      this.batches.ask({
        participant,
        ...(colocated ? { colocated } : {}),
        activity,
        request,
        ...carriedTrace(),
        attemptTimeoutMs: attemptTimeoutOf(effort),
        sent: (bytes) => {
          if (again > 0) return;
          this.#bytesToHandOver += bytes;
          this.#unsent--;
          this.#lastHeard = Date.now();
        },
        again: () => {
          if (again++ === 0) this.#askedAgain++;
        },
        isWanted: () => this.#left === undefined,
        resolve: (answer) => {
          this.#lastHeard = Date.now();
          over();
          if (!isOfAnother(answer)) return resolve(answer as Answer); // Cast: that is what the activity returns.
          this.#forget(request);
          void this.leave(`${branchOf(request)} was done by ${answer.by}`);
        },
        reject: (error) => {
          over();
          this.#forget(request);
          reject(error);
        },
        giveUp: (why, proof) => {
          if (proof) this.#forget(request);
          void this.leave(why);
        },
      });
    });
  }
}

const branchOf = (request: object): string => String((request as Partial<BranchCall>).branch);

/** What a step answers that somebody else has had done. */
function isOfAnother(answer: unknown): answer is ExecuteAnswer & { readonly by: string } {
  const { answer: kind, by } = (answer ?? {}) as Partial<ExecuteAnswer>;
  return kind === 'applied-before' && by !== undefined;
}

/** What is a payload of its own where a workflow tells of nobody else. */
function carriedBy(outcome: GroupOutcome): readonly unknown[] {
  switch (outcome.kind) {
    case 'ended':
      return [outcome.result];
    case 'failed':
      return outcome.failure.details ?? [];
    case 'on-its-own':
      return [];
  }
}

/** What Temporal writes as JSON inside of something else only. */
const isMoreThanJson = (value: unknown): boolean => value instanceof Uint8Array || value instanceof RawValue;

const told = ({ type, message, details, nonRetryable }: ApplicationFailure): ToldFailure => ({
  message,
  nonRetryable: nonRetryable === true,
  ...(type === undefined || type === null ? {} : { type }),
  ...(details ? { details } : {}),
});
