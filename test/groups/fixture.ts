/** Two participants on one real PostgreSQL that do what they are told, Temporal by the real clock, and groups to run there. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import type { Connection } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import type { Pool } from 'pg';
import { afterAll, beforeAll, vi } from 'vitest';
import { z } from 'zod';
import { Coordinators } from '../../src/cli/coordinators';
import type { Caller, Coordinator } from '../../src/cli/coordinators';
import { TransactionClient } from '../../src/client';
import type { GroupingOptions } from '../../src/client';
import { requestOf } from '../../src/client/request';
import { defineParticipant, migrate, operation, participantActivities, refuse } from '../../src/participant';
import type { Tx } from '../../src/participant';
import { GROUP_WORKFLOW, groupId, isGroupId } from '../../src/protocol';
import type { GroupAnswer, GroupOutcome, GroupRequest } from '../../src/protocol';
import { PostgresServer } from '../../src/testing';
import { quietPool } from '../quiet-pool';
import { startServer, startWorkers } from '../real-server';
import type { RealServer } from '../real-server';
import type { Deed } from './workflows';

const AT = ['left', 'right'] as const;
type At = (typeof AT)[number];

const Input = z.object({
  at: z.string(),
  does: z.string().optional(),
  ms: z.number().optional(),
  text: z.string().optional(),
});

const MARKS = `
  create table mark (transaction_id text not null, branch_id text not null, kind text not null, sets integer not null default 0);
  create table record (id text primary key, n integer not null)`;

/** How often an attempt of a deed began, in this process. */
const begun = new Map<string, number>();

async function act(tx: Tx, { does, ms = 0, text = '' }: z.infer<typeof Input>): Promise<string> {
  const attempt = (begun.get(tx.transaction) ?? 0) + 1;
  begun.set(tx.transaction, attempt);
  await tx.query(`insert into mark (transaction_id, branch_id, kind) values ($1, $2, 'done')`, [
    tx.transaction,
    tx.branch,
  ]);
  if (does === 'refuse') refuse('unwanted', 'It is not wanted.');
  if ((does === 'fail once' || does === 'fail once, then wait for the test') && attempt === 1)
    throw new Error('A passing failure.');
  if (does === 'fail') throw new Error('A lasting failure.');
  if (does === 'fail until it travels alone' && isAskedByGroup()) throw new Error('A lasting failure.');
  if (does?.endsWith('wait for the test'))
    await tx.query('select pg_advisory_xact_lock(hashtext($1))', [tx.transaction]);
  if (does === 'take long') await tx.query('select pg_sleep($1)', [ms / 1_000]);
  if (does === 'return much') return 'x'.repeat(ms);
  return text === '' ? tx.transaction : String(text.length);
}

const isAskedByGroup = (): boolean => isGroupId(Context.current().info.workflowExecution?.workflowId ?? '');

const declared = defineParticipant('marks', {
  act: operation({
    input: Input,
    execute: act,
    compensate: async (tx) => {
      await tx.query(`insert into mark (transaction_id, branch_id, kind) values ($1, $2, 'undone')`, [
        tx.transaction,
        tx.branch,
      ]);
    },
  }),
  /** Whether a flag is up. */
  look: operation({
    input: z.object({ id: z.string() }),
    readOnly: true,
    execute: async (tx, { id }) => (await tx.query('select from record where id = $1', [id])).rowCount,
  }),
});

export interface Member {
  readonly id: string;
  readonly deeds: readonly Deed[];
}

type GroupWorkflow = typeof GROUP_WORKFLOW | 'runImpatientGroup' | 'runPatientGroup';

/** What took effect, by branch: `left.act done`. */
export type Marks = readonly string[];

export class Groups {
  readonly pools: Readonly<Record<At, Pool>>;
  #workers = new Map<At, { readonly worker: Worker; readonly stopped: Promise<void> }>();
  #count = 0;

  private constructor(
    private readonly directory: string,
    private readonly postgres: PostgresServer,
    pools: Record<At, Pool>,
  ) {
    this.pools = pools;
  }

  server!: RealServer;
  transactions!: TransactionClient;
  #stopWorkflows: () => Promise<unknown> = async () => undefined;

  static async open(): Promise<Groups> {
    // Of another file in this process, whose transactions have the same ids.
    begun.clear();
    const directory = mkdtempSync(join(tmpdir(), 'temporal-txn-groups-'));
    chmodSync(directory, 0o711);
    const postgres = await PostgresServer.start({ directory, durable: false });
    const pools: Partial<Record<At, Pool>> = {};
    for (const at of AT) {
      const pool = quietPool({ connectionString: await postgres.createService(at), max: 12 });
      await migrate(pool);
      await pool.query(MARKS);
      pools[at] = pool;
    }
    return new Groups(directory, postgres, pools as Record<At, Pool>); // Cast: the loop has filled it.
  }

  async start(): Promise<void> {
    this.server = await startServer();
    this.transactions = new TransactionClient({ client: this.server.client });
    await this.startWorkflowWorkers();
    for (const at of AT) await this.startWorker(at);
  }

  async stop(): Promise<void> {
    for (const at of AT) await this.stopWorker(at);
    await this.stopWorkflowWorkers();
    await this.server.stop();
  }

  async startWorkflowWorkers(): Promise<void> {
    this.#stopWorkflows = await startWorkers(this.server, 'groups', {});
  }

  async stopWorkflowWorkers(): Promise<void> {
    await this.#stopWorkflows();
  }

  async close(): Promise<void> {
    await Promise.all(AT.map((at) => this.pools[at].end()));
    await this.postgres.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async startWorker(at: At): Promise<void> {
    const worker = await Worker.create({
      connection: this.server.native,
      namespace: this.server.namespace,
      taskQueue: at,
      activities: participantActivities(declared, { pool: this.pools[at] }),
      maxHeartbeatThrottleInterval: '1 second',
    });
    this.#workers.set(at, { worker, stopped: worker.run() });
  }

  async stopWorker(at: At): Promise<void> {
    const running = this.#workers.get(at);
    this.#workers.delete(at);
    running?.worker.shutdown();
    await running?.stopped;
  }

  /** Keeps a deed at the left waiting that waits for the test. @returns what lets it go on */
  async holdUp(id: string): Promise<() => Promise<void>> {
    const client = await this.pools.left.connect();
    await client.query('select pg_advisory_lock(hashtext($1))', [id]);
    return async () => {
      await client.query('select pg_advisory_unlock_all()');
      client.release();
    };
  }

  newId(name = 'member'): string {
    return `${name}-${++this.#count}`;
  }

  /** Members that do the same, each under an id of its own. */
  members(count: number, deeds: readonly Deed[]): Member[] {
    return Array.from({ length: count }, () => ({ id: this.newId(), deeds }));
  }

  clientOf(grouping: GroupingOptions | undefined = {}): TransactionClient {
    return new TransactionClient({ client: this.server.client, grouping });
  }

  /** Starts a group. @param workflow `runImpatientGroup` where somebody is to leave soon @returns its workflow */
  async begin(type: string, members: readonly Member[], workflow: GroupWorkflow = GROUP_WORKFLOW) {
    const items = members.map(({ id, deeds }) => ({ id, input: deeds, request: requestOf(id, deeds).hash }));
    return this.server.client.workflow.start<(request: GroupRequest) => Promise<GroupAnswer>>(workflow, {
      workflowId: groupId(type, this.newId('group')),
      taskQueue: 'transactions',
      args: [{ type, items }],
    });
  }

  /** Runs a group. @returns what became of each member */
  async run(
    type: string,
    members: readonly Member[],
    workflow: GroupWorkflow = GROUP_WORKFLOW,
  ): Promise<readonly GroupOutcome[]> {
    return (await (await this.begin(type, members, workflow)).result()).outcomes;
  }

  /** What took effect of a transaction, in its order at each participant. */
  async marks(id: string): Promise<Marks> {
    const found = await Promise.all(
      AT.map(async (at) => {
        const { rows } = await this.pools[at].query<{ branch: string; kind: string }>(
          'select branch_id as branch, kind from mark where transaction_id = $1',
          [id],
        );
        return rows.map(({ branch, kind }) => `${branch} ${kind}`);
      }),
    );
    return found.flat();
  }

  /** As the command asks whether the coordinator of a branch is at work. */
  async askCoordinator(caller: Caller): Promise<Coordinator> {
    const { options } = this.server.client.connection as Connection; // Cast: startServer has made it.
    vi.stubEnv('TEMPORAL_ADDRESS', options.address);
    const coordinators = new Coordinators(this.server.namespace);
    try {
      return await coordinators.ask(caller);
    } finally {
      await coordinators.close();
      vi.unstubAllEnvs();
    }
  }

  /** Why activities of a workflow are tried again. */
  async troublesOf(id: string): Promise<string[]> {
    const { raw } = await this.server.client.workflow.getHandle(id).describe();
    return (raw.pendingActivities ?? []).map(({ lastFailure }) => lastFailure?.message ?? '');
  }

  async prepared(): Promise<number> {
    const { rows } = await this.pools.left.query('select from pg_prepared_xacts');
    return rows.length;
  }
}

/** Starts the environment before the tests of a file and stops it after them. */
export function useGroups(): () => Groups {
  let groups: Groups | undefined;
  const current = (): Groups => {
    if (!groups) throw new Error('There are groups only while tests run.');
    return groups;
  };
  beforeAll(async () => {
    groups = await Groups.open();
    await groups.start();
  });
  afterAll(async () => {
    await groups?.stop();
    await groups?.close();
  });
  return current;
}

/**
 * Tries again, five times at most: on a busy machine a moment may pass that a test needs, and anybody may keep the others waiting.
 * @returns what came of it the last time
 */
export async function retried<T>(attempt: () => Promise<T>, isAsWanted: (outcome: T) => boolean): Promise<T> {
  for (let tries = 1; ; tries++) {
    const outcome = await attempt();
    if (tries === 5 || isAsWanted(outcome)) return outcome;
  }
}

/** How members ended: `ended`, `failed`, `on-its-own`. */
export const kinds = (outcomes: readonly GroupOutcome[]): string[] => outcomes.map(({ kind }) => kind);
