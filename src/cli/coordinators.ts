/**
 * Whether the coordinators of transactions are at work, as Temporal tells. An opinion only: the register decides, so Temporal
 * may be down, and a wrong answer costs an abort at most.
 */
import { Client, Connection, WorkflowNotFoundError } from '@temporalio/client';
import { namespaceIdOf, reachTemporal } from '../client';
import type { InDoubt } from '../protocol';
import { heirsOf, isGroupId } from '../protocol';
import { lenient } from './payloads';
import { printable } from './printable';
import { settingsOf, whyUnreachable } from './temporal';

/** What is known of a coordinator. */
export interface Coordinator {
  readonly state: InDoubt['coordinator'];
  /** In a few words. */
  readonly told: string;
}

/** Where a branch was asked for. */
export interface Caller {
  readonly workflowId?: string;
  readonly namespace?: string;
  /** Unique id of the namespace, where it is known. */
  readonly namespaceId?: string;
  readonly transaction?: string;
}

const TIMEOUT_MS = 3_000;

/** Reads the Temporal namespace of the environment, also where its server may not be connected to. */
export const namespaceOf = (given: string | undefined): string =>
  settingsOf({ address: 'localhost', ...(given === undefined ? {} : { namespace: given }) }).namespace;

/** Asks Temporal, if it answers. Connects with the first question. */
export class Coordinators {
  #client: Promise<Client | { readonly down: string }> | undefined;
  #namespaceId: Promise<string | undefined> | undefined;

  constructor(private readonly namespace: string) {}

  /** Why Temporal could not be asked. Undefined when it could, or nobody has asked. */
  async down(): Promise<string | undefined> {
    const client = await this.#client;
    return client !== undefined && 'down' in client ? client.down : undefined;
  }

  /** The client that asks, or why there is none. Never throws. */
  client(): Promise<Client | { readonly down: string }> {
    return (this.#client ??= connect(this.namespace));
  }

  /** Asks about the workflow that asked for a branch. Never throws. */
  async ask({ workflowId, namespace = this.namespace, namespaceId, transaction }: Caller): Promise<Coordinator> {
    if (workflowId === undefined) return { state: 'unknown', told: 'unknown: nothing says which workflow it is' };
    if (namespace !== this.namespace)
      return { state: 'unknown', told: `unknown: it is in namespace ${printable(namespace)}` };
    const client = await this.client();
    if ('down' in client) return { state: 'unknown', told: 'unknown: Temporal does not answer' };
    try {
      if (namespaceId !== undefined && namespaceId !== ((await this.#id(client)) ?? namespaceId))
        return { state: 'unknown', told: 'unknown: this is another Temporal, with a namespace of the same name' };
      const own = await look(client, workflowId);
      // What a group has begun may go on as a workflow of its own.
      const heirs =
        own.state === 'gone' && isGroupId(workflowId) && transaction !== undefined ? heirsOf(transaction) : [];
      for (const heir of heirs)
        if ((await look(client, heir)).state === 'running') return { state: 'running', told: `running, as ${heir}` };
      return own;
    } catch (error) {
      return { state: 'unknown', told: `unknown: ${tell(error)}` };
    }
  }

  /** Asked once. */
  #id(client: Client): Promise<string | undefined> {
    return (this.#namespaceId ??= client.withDeadline(Date.now() + TIMEOUT_MS, () =>
      namespaceIdOf(client.connection, this.namespace),
    ));
  }

  async close(): Promise<void> {
    const client = await this.#client;
    if (client !== undefined && !('down' in client)) await client.connection.close();
  }
}

async function look(client: Client, workflowId: string): Promise<Coordinator> {
  try {
    const { status } = await client.withDeadline(Date.now() + TIMEOUT_MS, () =>
      client.workflow.getHandle(workflowId).describe(),
    );
    return status.name === 'RUNNING'
      ? { state: 'running', told: 'running' }
      : { state: 'gone', told: `ended: ${status.name}` };
  } catch (error) {
    // It may also mean that we look in the wrong place: whoever is told `gone` still asks the register (O5, O6).
    if (error instanceof WorkflowNotFoundError) return { state: 'gone', told: 'not known to Temporal' };
    throw error;
  }
}

async function connect(namespace: string): Promise<Client | { readonly down: string }> {
  try {
    const { connectionOptions, dataConverter } = settingsOf({ namespace });
    try {
      const connection = await reachTemporal(connectionOptions, () =>
        Connection.connect({ ...connectionOptions, connectTimeout: TIMEOUT_MS }),
      );
      return new Client({ connection, namespace, dataConverter: lenient(dataConverter) });
    } catch (error) {
      const why = printable(whyUnreachable(error));
      return { down: `no Temporal server answers at ${printable(connectionOptions.address)} (${why})` };
    }
  } catch (error) {
    return { down: tell(error).replace(/^Nothing was changed, and nothing was looked at: /, '') };
  }
}

const tell = (error: unknown): string => printable(error instanceof Error ? error.message : String(error));
