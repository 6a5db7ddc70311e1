/**
 * Starts transactions, once for each id: the same id with the same input gives the same transaction, running or ended, and
 * with another input a clear error.
 *
 * Temporal forgets an ended workflow after the namespace's retention. The branch logs of the participants do not: a start
 * repeated even then finds every branch done, changes nothing, and returns the same results.
 */
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { REQUEST_MEMO } from '../observability';
import type { TxnStatus } from '../observability';
import { parseTransactionId } from '../protocol';
import { TransactionInputMismatch, TransactionNotFound, TransactionNotInterrupted } from './errors';
import { TransactionHandle } from './handle';
import { requestHash } from './request';

export interface TransactionClientOptions {
  readonly client: Client;
  /** Task queue of the workers that run the workflows. @default 'transactions' */
  readonly taskQueue?: string;
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

  constructor({ client, taskQueue = 'transactions' }: TransactionClientOptions) {
    this.#client = client;
    this.#taskQueue = taskQueue;
  }

  /**
   * Starts a transaction, or finds the one that has this id, and waits for it.
   *
   * @returns the result of the workflow
   * @throws {TransactionInputMismatch} when the id belongs to another input or workflow type; nothing was started
   * @throws {InvalidIdentifier} when the id does not follow the grammar; nothing was started
   * @throws what {@link TransactionHandle.result} throws
   * @example
   * const receipt = await transactions.execute(transferMoney, { id: `transfer-${requestId}`, input: { from, to, amount } });
   */
  async execute<I, R>(workflow: TransactionWorkflow<I, R>, options: StartOptions<I>): Promise<R> {
    return (await this.start(workflow, options)).result();
  }

  /** The same without waiting. */
  async start<I, R>(workflow: TransactionWorkflow<I, R>, options: StartOptions<I>): Promise<TransactionHandle<R>> {
    const id = parseTransactionId(options.id);
    try {
      await this.#launch(workflow, options, WorkflowIdReusePolicy.REJECT_DUPLICATE);
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      checkSame(await this.#describe(id), workflow, options);
    }
    return this.handle(id);
  }

  /**
   * Goes on with a transaction whose workflow was terminated or timed out. Steps that were done answer from the branch log.
   *
   * @throws {TransactionNotInterrupted} when it runs or ended by itself
   * @throws {TransactionInputMismatch} when it was started with another input
   * @throws {TransactionNotFound}
   */
  async resume<I, R>(workflow: TransactionWorkflow<I, R>, options: StartOptions<I>): Promise<TransactionHandle<R>> {
    const description = await this.#describe(parseTransactionId(options.id));
    checkSame(description, workflow, options);
    const { name } = description.status;
    if (name !== 'TERMINATED' && name !== 'TIMED_OUT') throw new TransactionNotInterrupted(options.id, name);
    await this.#launch(workflow, options, WorkflowIdReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY);
    return this.handle(options.id);
  }

  /** A transaction by its id. Whether it exists shows when the handle is used. */
  handle<R = unknown>(id: string): TransactionHandle<R> {
    return new TransactionHandle<R>(this.#client, parseTransactionId(id));
  }

  /** The transactions that have a given `TxnStatus`, or all that need a person. Needs a server with visibility, as the dev server has. */
  async *list(
    filter: { readonly status: TxnStatus } | { readonly needsAttention: true },
  ): AsyncGenerator<TransactionListEntry> {
    const query = 'status' in filter ? `TxnStatus = '${filter.status}'` : 'TxnNeedsAttention = true';
    for await (const { workflowId, type, status, startTime } of this.#client.workflow.list({ query })) {
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
    { id, input, summary }: StartOptions<I>,
    workflowIdReusePolicy: WorkflowIdReusePolicy,
  ): Promise<void> {
    await this.#client.workflow.start<(input: I) => Promise<R>>(
      typeof workflow === 'string' ? workflow : workflow.name,
      {
        workflowId: id,
        taskQueue: this.#taskQueue,
        args: [input],
        memo: { [REQUEST_MEMO]: requestHash(input) },
        workflowIdReusePolicy,
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
        // No run, execution or task timeout: a workflow that the server closes undoes nothing.
        ...(summary === undefined ? {} : { staticSummary: summary }),
      },
    );
  }

  async #describe(id: string): Promise<WorkflowExecutionDescription> {
    try {
      return await this.#client.workflow.getHandle(id).describe();
    } catch (error) {
      throw error instanceof WorkflowNotFoundError ? new TransactionNotFound(id) : error;
    }
  }
}

function checkSame<I, R>(
  existing: WorkflowExecutionDescription,
  workflow: TransactionWorkflow<I, R>,
  { id, input }: StartOptions<I>,
): void {
  if (existing.type !== (typeof workflow === 'string' ? workflow : workflow.name))
    throw new TransactionInputMismatch(id, 'workflow type');
  const known: unknown = existing.memo?.[REQUEST_MEMO];
  // A transaction that something else started has no hash: its branch logs still tell inputs apart.
  if (known !== undefined && known !== requestHash(input)) throw new TransactionInputMismatch(id, 'input');
}
