/**
 * The statements of the transfer without the package: those of activities/accounts and activities/audit, word for word. The
 * hand-written activities and the transfer without a coordinator run them in local transactions of their own.
 */
import { ApplicationFailure } from '@temporalio/common';
import type { PoolClient } from 'pg';
import type { Movement } from '../../activities/accounts/operations';
import type { AuditRecord } from '../../activities/audit/operations';

export interface Balance {
  readonly balance: number;
}

interface AccountRow {
  currency: string;
  balance: string;
  blocked: boolean;
}

async function lockForMovement(client: PoolClient, id: string, currency: string): Promise<{ balance: number }> {
  const { rows } = await client.query<AccountRow>(
    'select currency, balance, blocked from account where id = $1 for no key update',
    [id],
  );
  const account = rows[0];
  if (!account) throw refusal('unknown-account', `There is no account ${id}`);
  if (account.currency !== currency) throw refusal('currency-mismatch', `Account ${id} is kept in ${account.currency}`);
  if (account.blocked) throw refusal('account-blocked', `Account ${id} is blocked`);
  return { balance: Number(account.balance) };
}

export async function book(
  client: PoolClient,
  kind: 'debit' | 'credit' | 'reversal',
  account: string,
  amount: number,
  key: string,
): Promise<Balance> {
  await client.query(
    'insert into entry (account, kind, amount, transaction_id, branch_id) values ($1, $2, $3, $4, $5)',
    [account, kind, amount, key, kind],
  );
  const { rows } = await client.query<{ value: string }>(
    'update "account" set "balance" = "balance" + $1 where "id" = $2 returning "balance"::text as value',
    [amount, account],
  );
  return { balance: Number(rows[0]?.value) };
}

export async function debit(
  client: PoolClient,
  { account, amount, currency }: Movement,
  key: string,
): Promise<Balance> {
  const { balance } = await lockForMovement(client, account, currency);
  if (balance < amount) throw refusal('insufficient-funds', `Account ${account} cannot pay ${amount} ${currency}`);
  return book(client, 'debit', account, -amount, key);
}

export async function credit(
  client: PoolClient,
  { account, amount, currency }: Movement,
  key: string,
): Promise<Balance> {
  const { balance } = await lockForMovement(client, account, currency);
  if (balance > Number.MAX_SAFE_INTEGER - amount)
    throw refusal('balance-limit', `Account ${account} cannot hold ${amount} ${currency} more`);
  return book(client, 'credit', account, amount, key);
}

const refusal = (type: string, message: string): ApplicationFailure =>
  ApplicationFailure.create({ type, message, nonRetryable: true });

export async function record(client: PoolClient, movement: AuditRecord, key: string): Promise<void> {
  const { kind, from, to, amount, currency } = movement;
  await client.query(
    `insert into record (kind, from_party, to_party, amount, currency, transaction_id, branch_id)
         values ($1, $2, $3, $4, $5, $6, $7) returning id`,
    [kind, from, to, amount, currency, key, 'record'],
  );
}
