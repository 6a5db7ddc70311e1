/**
 * The activities as a careful team writes them: one local transaction each, with a row that makes a repeated attempt return
 * what the first one returned. The business statements are those of activities/accounts, word for word.
 */
import type { Pool, PoolClient } from 'pg';
import { Movement } from '../../activities/accounts/operations';
import { book, credit, debit } from './statements';
import type { Balance } from './statements';

export const HANDLED = `
  create table if not exists handled (
    key        text        primary key,
    response   json,
    handled_at timestamptz not null default now()
  )`;

type KeyedMovement = Movement & { readonly key: string };

export interface BankActivities {
  debit(request: KeyedMovement): Promise<Balance>;
  credit(request: KeyedMovement): Promise<Balance>;
  reverseDebit(request: KeyedMovement): Promise<Balance>;
}

export const bankActivities = (pool: Pool): BankActivities => ({
  debit: (request) => once(pool, request, (client, movement) => debit(client, movement, request.key)),

  credit: (request) => once(pool, request, (client, movement) => credit(client, movement, request.key)),

  reverseDebit: (request) =>
    once(pool, request, (client, { account, amount }) => book(client, 'reversal', account, amount, request.key)),
});

/** One local transaction, and only one for each key: a second attempt waits for the first at the row, and reads it. */
async function once(
  pool: Pool,
  { key, ...input }: KeyedMovement,
  work: (client: PoolClient, movement: Movement) => Promise<Balance>,
): Promise<Balance> {
  const movement = Movement.parse(input);
  const client = await pool.connect();
  let broken = true;
  try {
    await client.query('begin');
    const { rowCount } = await client.query('insert into handled (key) values ($1) on conflict do nothing', [key]);
    const response = rowCount === 1 ? await work(client, movement) : await responseOf(client, key);
    if (rowCount === 1)
      await client.query('update handled set response = $2 where key = $1', [key, JSON.stringify(response)]);
    await client.query('commit');
    broken = false;
    return response;
  } catch (error) {
    await client.query('rollback').then(
      () => (broken = false),
      () => undefined,
    );
    throw error;
  } finally {
    client.release(broken);
  }
}

async function responseOf(client: PoolClient, key: string): Promise<Balance> {
  const { rows } = await client.query<{ response: Balance }>('select response from handled where key = $1', [key]);
  if (!rows[0]) throw new Error(`Nothing was changed: there is no response to ${key} any more`);
  return rows[0].response;
}
