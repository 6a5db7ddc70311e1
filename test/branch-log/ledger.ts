/**
 * A participant whose only work is to leave a mark for each effect and for each undo, so that a test can count what really
 * happened in the database, whatever anyone was told. What else a branch does, the test gives with each attempt.
 *
 * Without vitest, because processes that are killed run it, too.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { MetricMeter } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { MockActivityEnvironmentOptions } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { Pool, QueryResultRow } from 'pg';
import { defineParticipant, migrate, operation, participantActivities } from 'temporal-txn/participant';
import type { ParticipantActivities, ParticipantActivityOptions, Tx } from 'temporal-txn/participant';
import { z } from 'zod';

/** What one attempt does in its transaction, after it left its mark. */
export type Body = (tx: Tx, input: Record<string, unknown>) => Promise<unknown>;

/** How often a branch took effect, and was undone. */
export interface Marks {
  readonly effects: number;
  readonly undos: number;
}

export interface LedgerOptions {
  readonly timeouts?: ParticipantActivityOptions['timeouts'];
  readonly startToCloseMs?: number;
  readonly circuit?: ParticipantActivityOptions['circuit'];
  readonly metricMeter?: MetricMeter;
}

export interface Asked {
  readonly transaction: string;
  readonly branch: string;
  readonly operation: string;
  readonly input: unknown;
  readonly request?: string;
  readonly failFast?: true;
}

const QUIET = new DefaultLogger('ERROR');
const attempt = new AsyncLocalStorage<Body>();

/** Each attempt brings its own body with it, however many of them run at a time. */
async function leaveMark(tx: Tx, kind: 'effect' | 'undo', input: Record<string, unknown>): Promise<unknown> {
  await tx.query('insert into mark (transaction_id, branch_id, kind) values ($1, $2, $3)', [
    tx.transaction,
    tx.branch,
    kind,
  ]);
  return attempt.getStore()?.(tx, input);
}

const anything = z.looseObject({});
const leaveAndUndo = () =>
  operation({
    input: anything,
    execute: (tx, input) => leaveMark(tx, 'effect', input),
    compensate: async (tx, input) => {
      await leaveMark(tx, 'undo', input);
    },
  });

const participant = defineParticipant('ledger', {
  mark: leaveAndUndo(),
  otherMark: leaveAndUndo(),
  finalMark: operation({ input: anything, execute: (tx, input) => leaveMark(tx, 'effect', input) }),
  strictMark: operation({
    input: z.strictObject({ order: z.strictObject({ lines: z.array(z.int().positive()) }) }),
    execute: (tx, input) => leaveMark(tx, 'effect', input),
  }),
  hold: operation({
    input: anything,
    try: (tx, input) => leaveMark(tx, 'effect', input),
    confirm: async () => undefined,
    cancel: async (tx, input) => {
      await leaveMark(tx, 'undo', input);
    },
  }),
  look: operation({
    input: anything,
    readOnly: true,
    execute: async (tx, input) => attempt.getStore()?.(tx, input),
  }),
});

/** One branch, and what a coordinator can ask about it. */
export class LedgerBranch {
  constructor(
    private readonly ledger: Ledger,
    readonly asked: Asked,
  ) {}

  /** The same branch, asked for with another input, operation or request hash. */
  as(other: Partial<Omit<Asked, 'transaction' | 'branch'>>): LedgerBranch {
    return new LedgerBranch(this.ledger, { ...this.asked, ...other });
  }

  /** The same branch, asked of another process with connections of its own. */
  at(ledger: Ledger): LedgerBranch {
    return new LedgerBranch(ledger, this.asked);
  }

  execute(body?: Body): Promise<unknown> {
    return this.ledger.call(this.asked.operation, this.asked, body);
  }

  compensate(body?: Body): Promise<unknown> {
    return this.ledger.call(`${this.asked.operation}.compensate`, this.asked, body);
  }

  query(): Promise<unknown> {
    return this.ledger.call(`${this.asked.operation}.query`, this.asked);
  }

  async marks(): Promise<Marks> {
    const [row] = await this.ledger.rows(
      `select count(*) filter (where kind = 'effect')::int as effects, count(*) filter (where kind = 'undo')::int as undos
         from mark where transaction_id = $1 and branch_id = $2`,
      [this.asked.transaction, this.asked.branch],
    );
    return row as Marks;
  }

  /** Its row of the branch log. */
  async row(): Promise<QueryResultRow | undefined> {
    const rows = await this.ledger.rows('select * from txn.branch where transaction_id = $1 and branch_id = $2', [
      this.asked.transaction,
      this.asked.branch,
    ]);
    return rows[0];
  }

  async state(): Promise<unknown> {
    return (await this.row())?.['state'];
  }
}

/** The participant as one process runs it, on one pool. */
export class Ledger {
  private readonly activities: ParticipantActivities;
  private readonly startToCloseTimeoutMs: number;
  private readonly around: MockActivityEnvironmentOptions;

  constructor(
    readonly pool: Pool,
    { timeouts, startToCloseMs = 10_000, circuit, metricMeter }: LedgerOptions = {},
  ) {
    this.around = { logger: QUIET, ...(metricMeter ? { metricMeter } : {}) };
    this.activities = participantActivities(participant, {
      pool,
      ...(timeouts ? { timeouts } : {}),
      ...(circuit ? { circuit } : {}),
    });
    this.startToCloseTimeoutMs = startToCloseMs;
  }

  branch(asked: Partial<Asked> = {}): LedgerBranch {
    return new LedgerBranch(this, {
      transaction: `test-${randomUUID()}`,
      branch: 'the-branch',
      operation: 'mark',
      input: { key: 'a' },
      ...asked,
    });
  }

  call(type: string, { operation: _operation, ...request }: Asked, body: Body = async () => null): Promise<unknown> {
    const activity = this.activities[type];
    if (!activity) throw new Error(`There is no activity ${type}.`);
    const environment = new MockActivityEnvironment({ startToCloseTimeoutMs: this.startToCloseTimeoutMs }, this.around);
    return attempt.run(body, () => environment.run(activity as (request: object) => Promise<unknown>, request));
  }

  async rows(sql: string, values: unknown[] = []): Promise<QueryResultRow[]> {
    return (await this.pool.query<QueryResultRow>(sql, values)).rows;
  }
}

/** The tables of the participant. Safe to run again. */
export async function prepareLedger(pool: Pool): Promise<void> {
  await migrate(pool);
  await pool.query(
    'create table if not exists mark (id bigserial primary key, transaction_id text not null, branch_id text not null, kind text not null)',
  );
}
