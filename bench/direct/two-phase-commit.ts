/**
 * Two-phase commit by hand, without any coordinator: one process prepares at all three databases, writes the decision in the
 * first one, and commits. It is the floor under the others' time, not a way to do it: nothing answers a repeated request, and
 * what is prepared when the process dies stays locked until a person comes.
 */
import { escapeLiteral } from 'pg';
import type { Pool, PoolClient } from 'pg';
import { credit, debit, record } from '../hand-written/statements';
import { recordOf } from '../transfer';
import type { Transfer } from '../transfer';

export const DECISION = `
  create table if not exists direct_decision (
    id         text        primary key,
    outcome    text        not null,
    decided_at timestamptz not null default now()
  )`;

export interface Databases {
  readonly north: Pool;
  readonly south: Pool;
  readonly audit: Pool;
}

/** A part of a transaction. */
export interface Branch {
  readonly pool: Pool;
  readonly gid: string;
  readonly work: (client: PoolClient) => Promise<unknown>;
}

/** @param decided called as soon as the decision is in its table */
export async function transferDirectly(
  { north, south, audit }: Databases,
  id: string,
  transfer: Transfer,
  decided: () => void,
): Promise<void> {
  const { from, to, amount, currency } = transfer;
  const branches: readonly Branch[] = [
    { pool: north, gid: `${id}-north`, work: (client) => debit(client, { account: from, amount, currency }, id) },
    { pool: south, gid: `${id}-south`, work: (client) => credit(client, { account: to, amount, currency }, id) },
    { pool: audit, gid: `${id}-audit`, work: (client) => record(client, recordOf(transfer), id) },
  ];
  await commitTogether(branches, async () => {
    await writeDecision(north, id);
    decided();
  });
}

/** Writes down that a transaction is committed. */
export const writeDecision = (pool: Pool, id: string): Promise<unknown> =>
  pool.query(`insert into direct_decision (id, outcome) values ($1, 'commit')`, [id]);

/** @param decide writes down that it is committed, between the two phases */
export async function commitTogether(branches: readonly Branch[], decide: () => Promise<unknown>): Promise<void> {
  const votes = await Promise.allSettled(branches.map(prepare));
  const objection = votes.find((vote) => vote.status === 'rejected');
  if (objection) {
    const prepared = branches.filter((_, i) => votes[i]?.status === 'fulfilled');
    await Promise.all(prepared.map(({ pool, gid }) => pool.query(`rollback prepared ${escapeLiteral(gid)}`)));
    throw objection.reason;
  }
  await decide();
  await Promise.all(branches.map(({ pool, gid }) => pool.query(`commit prepared ${escapeLiteral(gid)}`)));
}

async function prepare({ pool, gid, work }: Branch): Promise<void> {
  const client = await pool.connect();
  let broken = true;
  try {
    await client.query('begin');
    await work(client);
    const { command } = await client.query(`prepare transaction ${escapeLiteral(gid)}`);
    // A transaction that has failed is rolled back, and no error says so.
    if (command !== 'PREPARE') throw new Error(`Nothing was prepared: PostgreSQL answered ${command}.`);
    broken = false;
  } finally {
    // Closing the connection rolls back what is open, and keeps what is prepared.
    client.release(broken);
  }
}
