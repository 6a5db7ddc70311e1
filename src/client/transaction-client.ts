/**
 * Starts transactions, once for each id: the same id with the same input gives the same transaction, running or ended, and
 * with another input a clear error.
 *
 * Temporal forgets an ended workflow after the namespace's retention. The branch logs of the participants do not: a start
 * repeated even then finds every branch done, changes nothing, and returns the same results.
 */
import { AsyncResource } from 'node:async_hooks';
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { Duration, RetryPolicy } from '@temporalio/common';
import { carriedTrace, HERITAGE_MEMO, REQUEST_MEMO } from '../observability';
import type { TxnStatus } from '../observability';
import {
  ASKED_QUERY,
  LARGEST_PAYLOAD_BYTES,
  parseNewTransactionId,
  parseTransactionId,
  readHeritage,
} from '../protocol';
import type { AbortReason, AskedFor, Branch, DecisionNotice, Heritage, Vote } from '../protocol';
import {
  InvalidPatience,
  TransactionInputMismatch,
  TransactionNotAttempted,
  TransactionNotFound,
  TransactionNotInterrupted,
  TransactionTimeout,
} from './errors';
import type { Grouped } from './group-entry';
import { groupingSettings } from './grouping';
import type { GroupingOptions } from './grouping';
import { Groups } from './groups';
import { LONGEST_QUESTION_MS, TransactionHandle } from './handle';
import { requestOf } from './request';
import type { CheckedInput } from './request';
import { TemporalCalls, WaitOver } from './temporal-calls';
import type { WaitOptions } from './temporal-calls';
import { withoutPayloads } from './unreadable';

export interface TransactionClientOptions {
  readonly client: Client;
  /** Task queue of the workers that run the workflows. @default 'transactions' */
  readonly taskQueue?: string;
  /**
   * How long Temporal may be away before a call fails with `TemporalUnavailable`, in milliseconds; until then it is tried again.
   * 0: it fails at the first sign. While Temporal is known to be away, calls fail as soon as that is clear.
   * @default 10000
   */
  readonly patienceMs?: number;
  /**
   * Has transactions of one workflow type that are executed at the same time travel together, see docs/groups.md. The workers must have
   * `runGroup`, made by `groupOf`.
   * @default each has a workflow of its own
   */
  readonly grouping?: true | GroupingOptions;
  /**
   * Whether a worker of this process is to take what is started at once, with the answer to the start. The client has to be on the
   * `NativeConnection` of that worker, as that of `RunningCoordinator.transactions` is.
   * @default false
   */
  readonly eagerStart?: boolean;
}

/** A workflow that takes one input: its function, or the name of its type. */
export type TransactionWorkflow<I, R> = string | ((input: I) => Promise<R>);

export interface StartOptions<I> {
  /** Transaction id: the workflow id and the idempotency key. Take it from the caller's request, not from a random number made at each try. */
  readonly id: string;
  /** The workflow's one argument; JSON. */
  readonly input: I;
  /** One line for the Web UI. No personal data. */
  readonly summary?: string;
}

export interface ExecuteOptions<I> extends StartOptions<I>, WaitOptions {
  /** Whose it is, where transactions travel in groups: those that wait take turns by tenant. @default all are one tenant's */
  readonly tenant?: string;
}

/** Unless it is more than the next run can be told. */
const fitting = (told: readonly AskedFor[] | undefined): readonly AskedFor[] | undefined =>
  Array.isArray(told) && Buffer.byteLength(JSON.stringify(told)) <= LARGEST_PAYLOAD_BYTES ? told : undefined;

/** Branches that are committed together, or not at all, by the ready-made coordinator. */
export interface CommitOptions {
  /** As of {@link StartOptions}. */
  readonly id: string;
  /** The first one is the primary: the decision is kept in its database. */
  readonly branches: readonly Branch[];
  /** How long branches may take to vote; and after how long an unfinished commit or abort is reported as overdue. @default 30, 60 and 30 seconds */
  readonly timeouts?: { readonly prepare?: Duration; readonly commit?: Duration; readonly abort?: Duration };
  /** How participants vote: by a signal with their answer as its evidence, or by that answer alone. @default 'signal' */
  readonly votes?: 'signal' | 'answer';
  /** Of one attempt to prepare or finish a branch; shorter than `timeouts.prepare`. @default 10 seconds */
  readonly attemptTimeout?: Duration;
  /** Of attempts to prepare. @default 100 ms, doubled up to 2 s, without limit of attempts */
  readonly retry?: RetryPolicy;
  /** How often the whole transaction is tried when it meets contention. @default 5 */
  readonly attempts?: number;
  /** Ends as `TransactionNotAttempted`, before anything is asked of anybody, where a participant did not answer lately. @default false */
  readonly failFast?: boolean;
  /** As of {@link StartOptions}. */
  readonly summary?: string;
}

/** What a branch that is not ours was told when it was asked to prepare. */
export interface VoteRequest {
  /** Workflow id of the coordinator. */
  readonly workflow: string;
  readonly transaction: string;
  readonly branch: string;
  readonly token: string;
}

export interface TransactionListEntry {
  readonly id: string;
  readonly type: string;
  /** Status of the workflow: RUNNING, COMPLETED, FAILED, … */
  readonly status: string;
  readonly startTime: Date;
}

export class TransactionClient {
  readonly #client: Client;
  readonly #taskQueue: string;
  readonly #calls: TemporalCalls;
  readonly #eagerStart: boolean;
  readonly #groups: Groups | undefined;

  /** @throws {InvalidPatience} {InvalidGrouping} */
  constructor({
    client,
    taskQueue = 'transactions',
    patienceMs,
    grouping,
    eagerStart = false,
  }: TransactionClientOptions) {
    this.#client = client;
    this.#taskQueue = taskQueue;
    this.#eagerStart = eagerStart;
    this.#calls = new TemporalCalls(client, patienceMs);
    if (grouping) {
      const settings = groupingSettings(grouping === true ? {} : grouping);
      this.#groups = new Groups(client, this.#calls, taskQueue, settings, eagerStart);
    }
  }

  /**
   * Takes no more transactions for groups, and waits for those that were executed: until each has ended, or has had a workflow of its
   * own for a second. Then it lets go of the rest, which goes on: whoever waits for it hears `TransactionGoesOn`, with its id. Without
   * grouping there is nothing to wait for. The connection stays open.
   *
   * @param wait how long at most. When that is over, what still waits for its place in a group is not started, and whoever waits for it
   * hears `ClientClosed`
   * @throws {InvalidPatience}
   */
  async close(wait: WaitOptions = {}): Promise<void> {
    checkPatience(wait);
    await this.#groups?.close(wait);
  }

  /** Waits until all that was executed in groups before has ended, however long it is held, and goes on taking transactions. */
  async drain(): Promise<void> {
    await this.#groups?.drain();
  }

  /**
   * Starts a transaction, or finds the one that has this id, and waits for it.
   *
   * @returns the result of the workflow
   * @throws {TransactionInputMismatch} when the id belongs to another input or workflow type; nothing was started
   * @throws {InvalidIdentifier} when the id does not follow the grammar; nothing was started
   * @throws {InvalidInput} when the input is not what JSON can carry; nothing was started
   * @throws {TemporalUnavailable} when Temporal is away for longer than the client is patient
   * @throws {TransactionTimeout} when `timeoutMs` have passed; the transaction goes on, if it was started
   * @throws {QueueFull} {ClientClosed} with grouping; nothing was started
   * @throws {TransactionGoesOn} with grouping, when the client is closed meanwhile
   * @throws what {@link TransactionHandle.result} throws
   * @example
   * const receipt = await transactions.execute(transferMoney, { id: `transfer-${requestId}`, input: { from, to, amount } });
   */
  async execute<I, R>(
    workflow: TransactionWorkflow<I, R>,
    options: ExecuteOptions<I> & { readonly waitFor?: 'completion' },
  ): Promise<R>;
  /** The same, and goes on as soon as it is decided: two-phase commit only, see {@link TransactionHandle.decision}. */
  async execute<I, R>(
    workflow: TransactionWorkflow<I, R>,
    options: ExecuteOptions<I> & { readonly waitFor: 'decision' },
  ): Promise<DecisionNotice>;
  async execute<I, R>(
    workflow: TransactionWorkflow<I, R>,
    { waitFor = 'completion', ...options }: ExecuteOptions<I> & { readonly waitFor?: 'completion' | 'decision' },
  ): Promise<R | DecisionNotice> {
    // Who goes on at the decision has to ask a workflow for it.
    if (!this.#groups || waitFor === 'decision') return this.#executeAlone(workflow, waitFor, options);
    const { timeoutMs, signal, tenant, ...own } = options;
    checkPatience(options);
    const checked = requestOf(own.id, own.input);
    const grouped: Grouped = {
      ...checked,
      id: own.id,
      type: typeof workflow === 'string' ? workflow : workflow.name,
      ...(tenant === undefined ? {} : { tenant }),
      ...(own.summary === undefined ? {} : { summary: own.summary }),
      ...carriedTrace(),
      // They run where its turn comes, and belong to this call.
      start: AsyncResource.bind(() =>
        this.start(workflow as TransactionWorkflow<unknown, R>, { ...own, input: checked.input }),
      ),
      follow: AsyncResource.bind((patience: WaitOptions) => this.handle(own.id).result(patience)),
    };
    const wait = { ...(timeoutMs === undefined ? {} : { timeoutMs }), ...(signal === undefined ? {} : { signal }) };
    return (await this.#groups.execute(grouped, wait)) as R; // Cast: the caller named the workflow and so its result.
  }

  async #executeAlone<I, R>(
    workflow: TransactionWorkflow<I, R>,
    waitFor: 'completion' | 'decision',
    options: StartOptions<I> & WaitOptions,
  ): Promise<R | DecisionNotice> {
    const began = Date.now();
    const { timeoutMs, signal } = options;
    const handle = await this.start(workflow, options);
    const wait: WaitOptions = {
      ...(timeoutMs === undefined ? {} : { timeoutMs: Math.max(0, timeoutMs - (Date.now() - began)) }),
      ...(signal === undefined ? {} : { signal }),
    };
    try {
      return await (waitFor === 'decision' ? handle.decision(wait) : handle.result(wait));
    } catch (error) {
      // What is left for the wait is not what the caller has given.
      throw error instanceof TransactionTimeout ? new TransactionTimeout(options.id, timeoutMs ?? 0) : error;
    }
  }

  /**
   * Starts a transaction, or finds the one that has this id, and does not wait for it. `timeoutMs` and `signal` are for the start alone.
   *
   * @returns a handle, which waits for it, asks how it stands, and rules on it
   * @throws {TransactionInputMismatch} {InvalidIdentifier} {InvalidInput} as `execute`; nothing was started
   * @throws {TemporalUnavailable} {TransactionTimeout} whether it was started is not known: the same id again makes sure
   * @example const handle = await transactions.start(transferMoney, { id: `transfer-${requestId}`, input: { from, to, amount } });
   */
  async start<I, R>(
    workflow: TransactionWorkflow<I, R>,
    options: StartOptions<I> & WaitOptions,
  ): Promise<TransactionHandle<R>> {
    const id = parseNewTransactionId(options.id);
    const checked = checkedOptions(options);
    try {
      await this.#launch(workflow, checked, WorkflowIdReusePolicy.REJECT_DUPLICATE);
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      // It may be this very call that has started it, when its first answer was lost.
      const existing = await this.#describe(id, options);
      checkSame(existing, workflow, checked);
      if (existing.status.name === 'FAILED') await this.#startIfNotAttempted(workflow, checked);
    }
    return this.handle(id);
  }

  /** One that did not begin, because a participant was away, has the id for nothing. Any other end is final. */
  async #startIfNotAttempted<I, R>(workflow: TransactionWorkflow<I, R>, options: CheckedOptions): Promise<void> {
    try {
      await this.handle(options.id).result();
    } catch (error) {
      if (!(error instanceof TransactionNotAttempted)) return;
      await this.#launch(workflow, options, WorkflowIdReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY).catch(
        (conflict: unknown) => {
          // Somebody else was faster, with the same input, as was checked.
          if (!(conflict instanceof WorkflowExecutionAlreadyStartedError)) throw conflict;
        },
      );
    }
  }

  /**
   * Commits operations of several participants together, or none of them, with the ready-made coordinator
   * (`coordinateTwoPhaseCommit`, which the workers of the task queue must have).
   *
   * @returns a handle: `result()` waits for completion, `decision()` only until it is decided
   * @throws {TransactionInputMismatch} when the id belongs to other branches or another workflow type; nothing was started
   * @throws {InvalidIdentifier} nothing was started
   * @example
   * const bank = participant<typeof accounts>('north-bank');
   * const handle = await transactions.commit({ id, branches: [branch(bank.debit, { … }), …] });
   * const { decision } = await handle.decision();
   */
  commit({ id, branches, summary, ...options }: CommitOptions): Promise<TransactionHandle<readonly unknown[]>> {
    return this.start<object, readonly unknown[]>('coordinateTwoPhaseCommit', {
      id,
      input: { branches, options },
      ...(summary === undefined ? {} : { summary }),
    });
  }

  /**
   * Votes for a branch that is not an operation of a participant: a service of another kind, or a person.
   *
   * @param request as the branch was told when it was asked
   * @param reason why, when it votes to abort; no personal data
   * @throws {TransactionNotFound} when its workflow has ended: ask the register what was decided, never take it for an abort
   * @example await transactions.vote(request, 'abort', { code: 'declined', message: 'The limit is used up.' });
   */
  async vote({ workflow, transaction, branch, token }: VoteRequest, vote: Vote, reason?: AbortReason): Promise<void> {
    await this.#signal(workflow, 'vote', {
      transaction,
      branch,
      token,
      vote,
      ...(reason === undefined ? {} : { reason }),
    });
  }

  /** Says that such a branch has followed the decision. @throws {TransactionNotFound} */
  async acknowledge({ workflow, transaction, branch, token }: VoteRequest): Promise<void> {
    await this.#signal(workflow, 'ack', { transaction, branch, token });
  }

  async #signal(workflow: string, name: string, message: object): Promise<void> {
    try {
      await this.#ask(workflow, () => this.#client.workflow.getHandle(workflow).signal(name, message));
    } catch (error) {
      throw error instanceof WorkflowNotFoundError ? new TransactionNotFound(workflow) : error;
    }
  }

  /**
   * Goes on with a transaction whose workflow was terminated or timed out. Steps that were done answer from the branch log. What it had asked
   * for is learnt from a worker of the workflow, so that it can turn back as a whole; where none answers, or the code has changed too much,
   * a saga turns back for a "no" only, and a cancellation comes too late.
   *
   * @throws {TransactionNotInterrupted} when it runs or ended by itself
   * @throws {TransactionInputMismatch} when it was started with another input
   * @throws {TransactionNotFound}
   */
  async resume<I, R>(workflow: TransactionWorkflow<I, R>, options: StartOptions<I>): Promise<TransactionHandle<R>> {
    const description = await this.#describe(parseNewTransactionId(options.id));
    const checked = checkedOptions(options);
    checkSame(description, workflow, checked);
    const { name } = description.status;
    if (name !== 'TERMINATED' && name !== 'TIMED_OUT') throw new TransactionNotInterrupted(options.id, name);
    const memo = { [HERITAGE_MEMO]: await this.#heritageOf(description) };
    await this.#launch(workflow, checked, WorkflowIdReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY, memo);
    return this.handle(options.id);
  }

  /** What a run that was interrupted leaves to the one that goes on with it. */
  async #heritageOf({ workflowId, runId, startTime, memo, raw }: WorkflowExecutionDescription): Promise<Heritage> {
    // What a group had begun and handed over to it goes on to the next one.
    const { group, reset, ...inherited }: Partial<Heritage> = readHeritage(memo?.[HERITAGE_MEMO]) ?? {};
    const resumed = [...(inherited.resumed ?? []), runId];
    const told = fitting(await this.#askedFor(workflowId, runId));
    const [own] = (told ?? []).filter(({ transaction }) => transaction === workflowId);
    const shared = {
      ...(group === undefined || reset ? {} : { group }),
      resumed,
      // Where it cannot tell when it began: mostly that is the first thing that its workflow does.
      began: own?.began ?? inherited.began ?? startTime.getTime(),
      ...(inherited.told ? { told: true as const } : {}),
    };
    // Whom a group had undo it goes on undoing it.
    const undoes = inherited.undo ? { undo: true as const } : {};
    if (!told) return { ...shared, asked: inherited.asked ?? [], more: true, ...undoes };
    const others = told.filter((saga) => saga !== own);
    const { asked, undo, more } = own ?? { ...inherited, more: inherited.more || reset };
    const { firstRunId } = raw.workflowExecutionInfo ?? {};
    // One that was reset does not know what it had asked for after that moment.
    const hasGaps = more || (firstRunId && firstRunId !== runId) || others.some(({ ended }) => !ended);
    return {
      ...shared,
      asked: asked ?? [],
      ...(undo ? { undo } : undoes),
      ...(hasGaps ? { more: true } : {}),
      others: others.map(({ ended: _, ...left }) => left),
    };
  }

  /** @returns undefined where no worker can tell; whether Temporal is away shows when it is asked to start the next run */
  #askedFor(id: string, runId: string): Promise<readonly AskedFor[] | undefined> {
    const { workflow } = this.#client;
    const ask = () => workflow.getHandle(id, runId).query<readonly AskedFor[]>(ASKED_QUERY);
    return this.#client.withDeadline(Date.now() + LONGEST_QUESTION_MS, ask).catch(() => undefined);
  }

  /** A transaction by its id. Whether it exists shows when the handle is used. */
  handle<R = unknown>(id: string): TransactionHandle<R> {
    return new TransactionHandle<R>(this.#client, parseTransactionId(id), this.#calls);
  }

  /**
   * The transactions that have a given `TxnStatus`, or all that need a person, whether or not this client has their keys. Needs a server
   * with visibility, as the dev server has.
   */
  async *list(
    filter: { readonly status: TxnStatus } | { readonly needsAttention: true },
  ): AsyncGenerator<TransactionListEntry> {
    const query = 'status' in filter ? `TxnStatus = '${filter.status}'` : 'TxnNeedsAttention = true';
    for await (const { workflowId, type, status, startTime } of withoutPayloads(this.#client).list({ query })) {
      yield { id: workflowId, type, status: status.name, startTime };
    }
  }

  /**
   * Whether the workflow that drives a transaction is still open; for the purge of branch logs.
   *
   * @throws {RangeError} when this client does not look at the namespace of that workflow: its "not found" would mean nothing
   */
  readonly isOpen = async ({
    namespace,
    workflowId,
  }: {
    readonly namespace: string;
    readonly workflowId: string;
  }): Promise<boolean> => {
    const own = this.#client.options.namespace;
    if (namespace !== own)
      throw new RangeError(
        `Nothing was removed: ${workflowId} is in namespace ${namespace}, this client looks at ${own}.`,
      );
    try {
      return (await this.#describe(workflowId)).status.name === 'RUNNING';
    } catch (error) {
      if (error instanceof TransactionNotFound) return false;
      throw error;
    }
  };

  async #launch<I, R>(
    workflow: TransactionWorkflow<I, R>,
    { id, input, hash, summary, ...wait }: CheckedOptions,
    workflowIdReusePolicy: WorkflowIdReusePolicy,
    memo: Readonly<Record<string, unknown>> = {},
  ): Promise<void> {
    const type = typeof workflow === 'string' ? workflow : workflow.name;
    const options = {
      workflowId: id,
      taskQueue: this.#taskQueue,
      args: [input] as [I], // Cast: the same, as JSON carries it.
      memo: { ...memo, [REQUEST_MEMO]: hash },
      workflowIdReusePolicy,
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
      requestEagerStart: this.#eagerStart,
      // No run, execution or task timeout: a workflow that the server closes undoes nothing.
      ...(summary === undefined ? {} : { staticSummary: summary }),
    };
    await this.#ask(id, () => this.#client.workflow.start<(input: I) => Promise<R>>(type, options), wait);
  }

  /** One call about a transaction. @throws {TransactionTimeout} */
  async #ask<T>(id: string, make: () => Promise<T>, { timeoutMs, signal }: WaitOptions = {}): Promise<T> {
    checkPatience({ timeoutMs });
    try {
      return await this.#calls.make({
        atStake: 'unknown',
        id,
        kind: 'short',
        make,
        ...(timeoutMs === undefined ? {} : { until: Date.now() + timeoutMs }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      throw error instanceof WaitOver ? new TransactionTimeout(id, timeoutMs ?? 0) : error;
    }
  }

  async #describe(id: string, wait: WaitOptions = {}): Promise<WorkflowExecutionDescription> {
    try {
      const { timeoutMs, signal } = wait;
      return await this.#ask(id, () => this.#client.workflow.getHandle(id).describe(), {
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      throw error instanceof WorkflowNotFoundError ? new TransactionNotFound(id) : error;
    }
  }
}

function checkPatience({ timeoutMs }: { readonly timeoutMs?: number | undefined }): void {
  if (timeoutMs !== undefined && !(timeoutMs >= 0)) throw new InvalidPatience(timeoutMs);
}

type CheckedOptions = Omit<StartOptions<unknown>, 'input'> & CheckedInput & WaitOptions;

/** @throws {InvalidInput} */
const checkedOptions = (options: StartOptions<unknown> & WaitOptions): CheckedOptions => ({
  ...options,
  ...requestOf(options.id, options.input),
});

function checkSame<I, R>(
  existing: WorkflowExecutionDescription,
  workflow: TransactionWorkflow<I, R>,
  { id, hash }: CheckedOptions,
): void {
  if (existing.type !== (typeof workflow === 'string' ? workflow : workflow.name))
    throw new TransactionInputMismatch(id, 'workflow type');
  const known: unknown = existing.memo?.[REQUEST_MEMO];
  // A transaction that something else started has no hash: its branch logs still tell inputs apart.
  if (known !== undefined && known !== hash) throw new TransactionInputMismatch(id, 'input');
}
