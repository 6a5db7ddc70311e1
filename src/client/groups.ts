/**
 * Lets transactions of one workflow type travel together, as a group commit does: nobody waits while nothing is under way, and
 * what comes meanwhile travels in the next group. So groups are as large as there is work, and no timer decides it.
 *
 * The caller sees nothing of it: results, refusals and reports come one by one, and who leaves the group is followed.
 */
import { AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import {
  ApplicationFailure,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { FailureType, GROUP_WORKFLOW, groupId, parseNewTransactionId } from '../protocol';
import type { GroupAnswer, GroupOutcome, GroupRequest } from '../protocol';
import {
  AnswerUnreadable,
  ClientClosed,
  TemporalUnavailable,
  TransactionGoesOn,
  TransactionInputMismatch,
  TransactionInterrupted,
  TransactionTimeout,
} from './errors';
import { entryOf } from './group-entry';
import type { Entry, Grouped } from './group-entry';
import { GroupQueue } from './group-queue';
import type { GroupingSettings } from './grouping';
import { endOf } from './handle';
import { Room } from './room';
import type { TemporalCalls, WaitOptions } from './temporal-calls';
import { whenOver } from './when-over';

/** The transactions of one workflow type. */
interface Lane {
  readonly queue: GroupQueue<Entry>;
  readonly room: Room;
  /** Groups under way. */
  running: number;
  /** Until when it is known that the workers let none of the type travel in groups, as `performance.now()` counts. */
  aloneUntil: number;
}

/** A transaction with a workflow of its own may be held for days: it keeps nobody waiting for longer than that. */
const ALONE_MS = 1_000;
/** Workers with other workflows may be deployed meanwhile. */
const REMEMBERED_MS = 60_000;

export class Groups {
  readonly #lanes = new Map<string, Lane>();
  readonly #entries = new Map<string, Entry>();
  readonly #due = new Set<string>();
  /** What ends the waits for Temporal. */
  readonly #waits = new Set<AbortController>();
  /** A group belongs to the client, and not to whichever caller happens to have it start. */
  readonly #pump = AsyncResource.bind((type: string) => this.#fillUp(type));
  #closed = false;
  #hasLetGo = false;

  constructor(
    private readonly client: Client,
    private readonly calls: TemporalCalls,
    private readonly taskQueue: string,
    private readonly settings: GroupingSettings,
    private readonly eagerStart: boolean,
  ) {}

  /** Executes a transaction, alone or in a group. */
  async execute(grouped: Grouped, wait: WaitOptions): Promise<unknown> {
    if (this.#closed) throw new ClientClosed(grouped.id);
    wait.signal?.throwIfAborted();
    const entry = this.#enter(grouped);
    entry.callers++;
    return this.#waitFor(entry, wait);
  }

  /** Waits until everything that was submitted before has ended. */
  async drain(): Promise<void> {
    await Promise.all([...this.#entries.values()].map(({ over }) => over));
  }

  /** Takes nothing more, waits for the queue and the groups, and lets go of what is left then: who waits for it hears where it is. */
  async close(wait: WaitOptions): Promise<void> {
    this.#closed = true;
    const entries = [...this.#entries.values()];
    let stop: (() => void) | undefined;
    const timeIsUp = new Promise<void>((resolve) => (stop = whenOver(wait, () => resolve())));
    await Promise.race([Promise.all(entries.map(({ settled }) => settled)), timeIsUp]);
    stop?.();
    for (const entry of entries) {
      if (entry.place === 'queue') this.#withdraw(entry, new ClientClosed(entry.id, 'meanwhile'));
      else entry.reject(new TransactionGoesOn(entry.id, entry.place));
    }
    this.#hasLetGo = true;
    for (const waiting of this.#waits) waiting.abort();
  }

  #enter(grouped: Grouped): Entry {
    const id = parseNewTransactionId(grouped.id);
    const known = this.#entries.get(id);
    if (known) {
      if (known.type !== grouped.type) throw new TransactionInputMismatch(id, 'workflow type');
      if (known.hash !== grouped.hash) throw new TransactionInputMismatch(id, 'input');
      return known;
    }
    const lane = this.#laneOf(grouped.type);
    const entry = entryOf(grouped);
    lane.room.enter(entry);
    this.#entries.set(id, entry);
    void entry.over.then(() => this.#leave(entry));
    if (entry.bytes > this.settings.maxBytes) void this.#goAlone(entry);
    else {
      lane.queue.add(entry);
      this.#pumpSoon(grouped.type);
    }
    return entry;
  }

  /** Its id and its room are for others. */
  #leave(entry: Entry): void {
    if (this.#entries.get(entry.id) !== entry) return;
    this.#entries.delete(entry.id);
    this.#laneOf(entry.type).room.leave(entry);
  }

  /** Takes out of the queue what nobody waits for any more. It leaves at once: whoever asks for its id next is not to share its end. */
  #withdraw(entry: Entry, error: Error): void {
    if (!this.#laneOf(entry.type).queue.remove(entry)) return;
    this.#leave(entry);
    entry.reject(error);
  }

  #laneOf(type: string): Lane {
    const known = this.#lanes.get(type);
    if (known) return known;
    const { settings } = this;
    const lane: Lane = {
      queue: new GroupQueue(settings),
      room: new Room(settings.queueLimit),
      running: 0,
      aloneUntil: -Infinity,
    };
    this.#lanes.set(type, lane);
    return lane;
  }

  async #waitFor(entry: Entry, wait: WaitOptions): Promise<unknown> {
    if (wait.timeoutMs === undefined && !wait.signal) return entry.ended;
    const { timeoutMs = 0, signal } = wait;
    let stop: (() => void) | undefined;
    const givenUp = new Promise<never>((_, reject) => {
      stop = whenOver(wait, (why) => {
        entry.callers--;
        const errorAt = (where: TransactionTimeout['where']): Error =>
          why === 'time' ? new TransactionTimeout(entry.id, timeoutMs, where) : (signal?.reason as Error); // Cast: whatever the caller gave.
        if (entry.place !== 'queue') reject(errorAt(entry.place));
        else if (entry.callers > 0) reject(errorAt('queue of another caller'));
        else this.#withdraw(entry, errorAt('queue'));
      });
    });
    try {
      return await Promise.race([entry.ended, givenUp]);
    } finally {
      stop?.();
    }
  }

  /** When all that came in this moment has come. */
  #pumpSoon(type: string): void {
    if (this.#due.has(type)) return;
    this.#due.add(type);
    setImmediate(() => {
      this.#due.delete(type);
      this.#pump(type);
    });
  }

  #fillUp(type: string): void {
    const lane = this.#laneOf(type);
    while (lane.running < this.settings.inFlight && lane.queue.size > 0) {
      const entries = lane.queue.take();
      const [first] = entries;
      if (!first) return;
      for (const entry of entries) entry.place = 'group';
      lane.running++;
      const travelling = entries.length === 1 ? this.#goAlone(first) : this.#travel(lane, type, entries);
      void travelling.finally(() => {
        lane.running--;
        this.#pumpSoon(type);
      });
    }
  }

  /** Has a workflow of its own started. @returns when it has ended, or keeps nobody waiting any more */
  async #goAlone(entry: Entry): Promise<void> {
    entry.place = 'group';
    try {
      await entry.start();
    } catch (error) {
      return entry.reject(error);
    }
    this.#follow(entry);
    await entry.settled;
  }

  /** Waits for a transaction that has a workflow of its own. */
  #follow(entry: Entry): void {
    entry.place = 'workflow';
    const longEnough = setTimeout(entry.settle, ALONE_MS);
    void entry.over.then(() => clearTimeout(longEnough));
    this.#abortable((signal) => entry.follow({ signal })).then(entry.resolve, entry.reject);
  }

  /** Waits for Temporal, until the client lets go. */
  async #abortable<T>(wait: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const waiting = new AbortController();
    if (this.#hasLetGo) waiting.abort();
    this.#waits.add(waiting);
    try {
      return await wait(waiting.signal);
    } finally {
      this.#waits.delete(waiting);
    }
  }

  async #travel(lane: Lane, type: string, entries: readonly Entry[]): Promise<void> {
    const allAlone = (): void => entries.forEach((entry) => void this.#goAlone(entry));
    if (performance.now() < lane.aloneUntil) return allAlone();
    try {
      const { outcomes } = await this.#run(type, entries);
      for (const [i, entry] of entries.entries()) this.#settle(entry, outcomes[i]);
    } catch (error) {
      if (!isUnknownType(error)) return entries.forEach((entry) => entry.reject(failureOf(entry.id, error)));
      // The workers let none of the type travel in groups: nothing was begun, and each further group would cost its start again.
      lane.aloneUntil = performance.now() + REMEMBERED_MS;
      allAlone();
    }
  }

  async #run(type: string, entries: readonly Entry[]): Promise<GroupAnswer> {
    const id = groupId(type, randomUUID());
    const request: GroupRequest = {
      type,
      items: entries.map(({ id, input, hash, summary, trace }) => ({
        id,
        input,
        request: hash,
        ...(summary === undefined ? {} : { summary }),
        ...(trace ? { trace } : {}),
      })),
    };
    const options = {
      workflowId: id,
      taskQueue: this.taskQueue,
      args: [request] as [GroupRequest],
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
      requestEagerStart: this.eagerStart,
      staticSummary: `${entries.length} transactions of type ${type}`,
    };
    type Run = (request: GroupRequest) => Promise<GroupAnswer>;
    const start = async (): Promise<void> => {
      try {
        await this.client.workflow.start<Run>(GROUP_WORKFLOW, options);
      } catch (error) {
        // By this very call, when its first answer was lost.
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
    };
    await this.calls.make({ atStake: 'unknown', id, kind: 'short', make: start });
    const handle = this.client.workflow.getHandle<Run>(id);
    const result = (): Promise<GroupAnswer> => handle.result();
    return this.#abortable((signal) => this.calls.make({ atStake: 'unknown', id, kind: 'long', make: result, signal }));
  }

  #settle(entry: Entry, outcome: GroupOutcome | undefined): void {
    switch (outcome?.kind) {
      case 'ended':
        return entry.resolve(outcome.result);
      case 'failed': {
        const { message, type, details, nonRetryable } = outcome.failure;
        const cause = ApplicationFailure.create({
          message,
          nonRetryable,
          ...(type === undefined ? {} : { type }),
          ...(details === undefined ? {} : { details: [...details] }),
        });
        return entry.reject(endOf(entry.id, cause));
      }
      case 'on-its-own':
      default:
        if (outcome?.kind === 'on-its-own' && outcome.started) return this.#follow(entry);
        // One that was there before may be of another input: whoever starts it looks.
        void this.#goAlone(entry);
    }
  }
}

const isUnknownType = (error: unknown): boolean =>
  error instanceof WorkflowFailedError &&
  error.cause instanceof ApplicationFailure &&
  error.cause.type === FailureType.BadRequest;

/** What the end of a group means to one of its transactions. */
function failureOf(id: string, error: unknown): unknown {
  if (error instanceof TemporalUnavailable) return new TemporalUnavailable(id, error.changed, { cause: error });
  if (error instanceof AnswerUnreadable) return new AnswerUnreadable(id, error.cause);
  // Not found: it was deleted, or is past Temporal's retention.
  if (error instanceof WorkflowFailedError || error instanceof WorkflowNotFoundError)
    return new TransactionInterrupted(id, 'ended with its group', { cause: error });
  return error;
}
