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
} from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { FailureType, GROUP_WORKFLOW, groupId, parseNewTransactionId } from '../protocol';
import type { CarriedTrace, GroupAnswer, GroupOutcome, GroupRequest } from '../protocol';
import {
  ClientClosed,
  QueueFull,
  TemporalUnavailable,
  TransactionInputMismatch,
  TransactionInterrupted,
  TransactionTimeout,
} from './errors';
import { GroupQueue } from './group-queue';
import type { Queued } from './group-queue';
import type { GroupingSettings } from './grouping';
import { endOf } from './handle';
import type { CheckedInput } from './request';
import type { TemporalCalls, WaitOptions } from './temporal-calls';

/** A transaction, and how it would go without a group. */
export interface Grouped extends CheckedInput {
  readonly id: string;
  readonly type: string;
  readonly tenant?: string;
  /** That of its caller. */
  readonly trace?: CarriedTrace;
  /** Starts a workflow of its own, or finds the one that has its id, and waits for it. */
  readonly alone: () => Promise<unknown>;
  /** Waits for the workflow of its own that a group has started. */
  readonly follow: () => Promise<unknown>;
}

interface Entry extends Queued, Omit<Grouped, 'tenant'> {
  readonly ended: Promise<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Never rejects. */
  readonly over: Promise<void>;
  /** How many callers wait for it. */
  callers: number;
}

/** The transactions of one workflow type. */
interface Lane {
  readonly queue: GroupQueue<Entry>;
  /** Groups under way. */
  running: number;
  /** Transactions that have left their group and have not ended: they count as waiting. */
  onTheirOwn: number;
}

/** A transaction that travels alone may be held for days: it does not keep the others waiting for longer than that. */
const ALONE_MS = 1_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Groups {
  readonly #lanes = new Map<string, Lane>();
  readonly #entries = new Map<string, Entry>();
  readonly #due = new Set<string>();
  /** A group belongs to the client, and not to whichever caller happens to have it start. */
  readonly #pump = AsyncResource.bind((type: string) => this.#fillUp(type));
  #closed = false;

  constructor(
    private readonly client: Client,
    private readonly calls: TemporalCalls,
    private readonly taskQueue: string,
    private readonly settings: GroupingSettings,
  ) {}

  /** Executes a transaction, alone or in a group. */
  async execute(grouped: Grouped, wait: WaitOptions): Promise<unknown> {
    if (this.#closed) throw new ClientClosed(grouped.id);
    wait.signal?.throwIfAborted();
    const entry = this.#enter(grouped);
    entry.callers++;
    try {
      return await this.#waitFor(entry, wait);
    } finally {
      entry.callers--;
    }
  }

  /** Waits until everything that was submitted has ended. */
  async drain(): Promise<void> {
    for (const { over } of this.#entries.values()) await over;
  }

  /** Takes nothing more, and waits for the rest. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.drain();
  }

  #enter({ tenant = '', ...grouped }: Grouped): Entry {
    const id = parseNewTransactionId(grouped.id);
    const known = this.#entries.get(id);
    if (known) {
      if (known.type !== grouped.type) throw new TransactionInputMismatch(id, 'workflow type');
      if (known.hash !== grouped.hash) throw new TransactionInputMismatch(id, 'input');
      return known;
    }
    const lane = this.#laneOf(grouped.type);
    const { queueLimit, maxBytes } = this.settings;
    if (lane.onTheirOwn + lane.queue.size >= queueLimit) throw new QueueFull(id, queueLimit);
    const bytes = Buffer.byteLength(JSON.stringify(grouped.input) ?? '');
    const entry = entryOf({ ...grouped, tenant, bytes });
    if (bytes > maxBytes) void this.#follow(lane, entry, grouped.alone);
    else {
      lane.queue.add(entry);
      this.#pumpSoon(grouped.type);
    }
    this.#entries.set(id, entry);
    void entry.over.then(() => this.#entries.delete(id));
    return entry;
  }

  #laneOf(type: string): Lane {
    const known = this.#lanes.get(type);
    if (known) return known;
    const lane: Lane = { queue: new GroupQueue(this.settings), running: 0, onTheirOwn: 0 };
    this.#lanes.set(type, lane);
    return lane;
  }

  async #waitFor(entry: Entry, { timeoutMs, signal }: WaitOptions): Promise<unknown> {
    if (timeoutMs === undefined && signal === undefined) return entry.ended;
    let timer: NodeJS.Timeout | undefined;
    let onAbort: (() => void) | undefined;
    const over = new Promise<never>((_, reject) => {
      const giveUp = (error: (where: 'queue' | 'group') => Error): void => {
        if (!this.#withdraw(entry, error('queue'))) reject(error('group'));
      };
      if (timeoutMs !== undefined)
        timer = setTimeout(
          () => giveUp((where) => new TransactionTimeout(entry.id, timeoutMs, where)),
          Math.min(timeoutMs, LONGEST_TIMER_MS),
        );
      onAbort = () => giveUp(() => signal?.reason as Error); // Cast: whatever the caller gave.
      signal?.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return await Promise.race([entry.ended, over]);
    } finally {
      clearTimeout(timer);
      if (onAbort) signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Takes a transaction out of the queue when nobody else waits for it. False when it is under way. */
  #withdraw(entry: Entry, error: unknown): boolean {
    if (entry.callers > 1 || !this.#laneOf(entry.type).queue.remove(entry)) return false;
    entry.reject(error);
    return true;
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
      lane.running++;
      const travelling = entries.length === 1 ? this.#goAlone(lane, first) : this.#travel(lane, type, entries);
      void travelling.finally(() => {
        lane.running--;
        this.#pumpSoon(type);
      });
    }
  }

  async #goAlone(lane: Lane, entry: Entry): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const longEnough = new Promise<void>((resolve) => (timer = setTimeout(resolve, ALONE_MS)));
    await Promise.race([this.#follow(lane, entry, entry.alone), longEnough]);
    clearTimeout(timer);
  }

  /** Waits for a transaction that has a workflow of its own. */
  async #follow(lane: Lane, entry: Entry, wait: () => Promise<unknown>): Promise<void> {
    lane.onTheirOwn++;
    try {
      entry.resolve(await wait());
    } catch (error) {
      entry.reject(error);
    } finally {
      lane.onTheirOwn--;
    }
  }

  async #travel(lane: Lane, type: string, entries: readonly Entry[]): Promise<void> {
    try {
      const { outcomes } = await this.#run(type, entries);
      for (const [i, entry] of entries.entries()) this.#settle(lane, entry, outcomes[i]);
    } catch (error) {
      // This worker lets none of the type travel in groups: nothing was begun.
      if (isUnknownType(error)) for (const entry of entries) void this.#follow(lane, entry, entry.alone);
      else for (const entry of entries) entry.reject(failureOf(entry.id, error));
    }
  }

  async #run(type: string, entries: readonly Entry[]): Promise<GroupAnswer> {
    const id = groupId(type, randomUUID());
    const request: GroupRequest = {
      type,
      items: entries.map(({ id, input, hash, trace }) => ({ id, input, request: hash, ...(trace ? { trace } : {}) })),
    };
    const options = {
      workflowId: id,
      taskQueue: this.taskQueue,
      args: [request] as [GroupRequest],
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
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
    return this.calls.make({ atStake: 'unknown', id, kind: 'long', make: () => handle.result() });
  }

  #settle(lane: Lane, entry: Entry, outcome: GroupOutcome | undefined): void {
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
        // One that was there before may be of another input: whoever starts it looks.
        void this.#follow(lane, entry, outcome?.kind === 'on-its-own' && outcome.started ? entry.follow : entry.alone);
    }
  }
}

function entryOf(grouped: Omit<Entry, 'ended' | 'over' | 'resolve' | 'reject' | 'callers'>): Entry {
  let resolve: Entry['resolve'] = () => undefined;
  let reject: Entry['reject'] = () => undefined;
  const ended = new Promise<unknown>((...both) => {
    [resolve, reject] = both;
  });
  const over = ended.then(nothing, nothing);
  return { ...grouped, ended, over, resolve, reject, callers: 0 };
}

const nothing = (): void => undefined;

const isUnknownType = (error: unknown): boolean =>
  error instanceof WorkflowFailedError &&
  error.cause instanceof ApplicationFailure &&
  error.cause.type === FailureType.BadRequest;

/** What the end of a group means to one of its transactions. */
function failureOf(id: string, error: unknown): unknown {
  if (error instanceof TemporalUnavailable) return new TemporalUnavailable(id, error.changed, { cause: error });
  if (error instanceof WorkflowFailedError)
    return new TransactionInterrupted(id, 'ended with its group', { cause: error });
  return error;
}
