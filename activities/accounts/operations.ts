/**
 * A bank's accounts. One service, deployed once for each bank: as `north-bank` and as `south-bank`, each with its own
 * database. Every movement is an entry in the ledger, and every compensation is one more entry, never a deletion.
 */
import { addTo, defineParticipant, operation, refuse } from 'temporal-txn/participant';
import type { ManyCall, ManyTx, Tx } from 'temporal-txn/participant';
import { z } from 'zod';
import { formatAmount } from '../money';
import { AccountId, Amount, Currency } from '../values';

export const Movement = z.strictObject({ account: AccountId, amount: Amount, currency: Currency });
export type Movement = z.infer<typeof Movement>;

export const BalanceQuery = z.strictObject({ account: AccountId });
export type BalanceQuery = z.infer<typeof BalanceQuery>;

export const accounts = defineParticipant('accounts', {
  /** Takes money from an account. */
  debit: operation({
    input: Movement,
    async execute(tx, { account, amount, currency }) {
      const { balance } = await lockForMovement(tx, account, currency);
      if (balance < amount)
        refuse('insufficient-funds', `Account ${account} cannot pay ${formatAmount(amount, currency)} ${currency}`);
      return { balance: await book(tx, 'debit', account, -amount) };
    },
    executeMany: (tx, calls) =>
      bookMany(tx, 'debit', calls, (balance, amount, account, currency) => {
        if (balance < amount)
          refuse('insufficient-funds', `Account ${account} cannot pay ${formatAmount(amount, currency)} ${currency}`);
        return -amount;
      }),
    // A block does not matter here: it must not keep the money from going back.
    async compensate(tx, { account, amount }) {
      await book(tx, 'reversal', account, amount);
    },
  }),

  /** Adds money to an account. */
  credit: operation({
    input: Movement,
    async execute(tx, { account, amount, currency }) {
      const { balance } = await lockForMovement(tx, account, currency);
      if (balance > Number.MAX_SAFE_INTEGER - amount) {
        refuse('balance-limit', `Account ${account} cannot hold ${formatAmount(amount, currency)} ${currency} more`);
      }
      return { balance: await book(tx, 'credit', account, amount) };
    },
    executeMany: (tx, calls) =>
      bookMany(tx, 'credit', calls, (balance, amount, account, currency) => {
        if (balance > Number.MAX_SAFE_INTEGER - amount)
          refuse('balance-limit', `Account ${account} cannot hold ${formatAmount(amount, currency)} ${currency} more`);
        return amount;
      }),
    // The money can be spent already. No balance goes below zero for that: the refusal holds the transaction until a person
    // has got the money back and has the compensation tried again. Where this must not happen, make the credit the pivot.
    async compensate(tx, { account, amount, currency }) {
      const { balance } = await lockAccount(tx, account);
      if (balance < amount) {
        refuse(
          'credit-spent',
          `Account ${account} has already spent some of the ${formatAmount(amount, currency)} ${currency} to be taken back`,
        );
      }
      await book(tx, 'reversal', account, -amount);
    },
  }),

  /** Tells what an account holds. */
  balance: operation({
    input: BalanceQuery,
    readOnly: true,
    async execute(tx, { account }) {
      const { rows } = await tx.query<AccountRow>('select currency, balance, blocked from account where id = $1', [
        account,
      ]);
      const { balance, currency } = read(rows[0], account);
      return { balance, currency };
    },
  }),
});

/** node-postgres gives a bigint as text. */
interface AccountRow {
  currency: string;
  balance: string;
  blocked: boolean;
}

async function lockForMovement(tx: Tx, id: string, currency: string): Promise<{ balance: number }> {
  return forMovement(await lockAccount(tx, id), id, currency);
}

function forMovement<Account extends { readonly currency: string; readonly blocked: boolean }>(
  account: Account,
  id: string,
  currency: string,
): Account {
  if (account.currency !== currency) {
    refuse('currency-mismatch', `Account ${id} is kept in ${account.currency}, not in ${currency}`);
  }
  if (account.blocked) refuse('account-blocked', `Account ${id} is blocked`);
  return account;
}

/** Locks the row: what is decided on its balance stays true until the commit. */
async function lockAccount(tx: Tx, id: string) {
  const { rows } = await tx.query<AccountRow>(
    'select currency, balance, blocked from account where id = $1 for no key update',
    [id],
  );
  return read(rows[0], id);
}

function read(row: AccountRow | undefined, id: string) {
  if (!row) refuse('unknown-account', `There is no account ${id}`);
  return { ...row, balance: Number(row.balance) };
}

async function book(tx: Tx, kind: 'debit' | 'credit' | 'reversal', account: string, amount: number): Promise<number> {
  await tx.query('insert into entry (account, kind, amount, transaction_id, branch_id) values ($1, $2, $3, $4, $5)', [
    account,
    kind,
    amount,
    tx.transaction,
    tx.branch,
  ]);
  return addTo(tx, { table: 'account', key: { id: account }, column: 'balance', amount });
}

/**
 * Books many movements in three statements. They are checked in their order, each on the balance that the ones before it leave; the
 * first one that is not possible refuses all, and then each is done by itself.
 */
async function bookMany(
  tx: ManyTx,
  kind: 'debit' | 'credit',
  calls: readonly ManyCall<Movement>[],
  changeOf: (balance: number, amount: number, account: string, currency: string) => number,
): Promise<{ balance: number }[]> {
  const ids = [...new Set(calls.map(({ input }) => input.account))];
  // In the order of the keys: two sets that share accounts wait for each other and do not deadlock.
  const { rows } = await tx.query<AccountRow & { id: string }>(
    'select id, currency, balance, blocked from account where id = any($1) order by id for no key update',
    [ids],
  );
  const found = new Map(rows.map((row) => [row.id, row]));
  const balances = new Map<string, number>();
  const booked = calls.map(({ input: { account, amount, currency }, ...call }) => {
    const row = forMovement(read(found.get(account), account), account, currency);
    const before = balances.get(account) ?? row.balance;
    const change = changeOf(before, amount, account, currency);
    balances.set(account, before + change);
    return { ...call, account, change, balance: before + change };
  });
  await tx.query(
    `insert into entry (account, kind, amount, transaction_id, branch_id)
     select account, $1, amount, transaction_id, branch_id
       from unnest($2::text[], $3::bigint[], $4::text[], $5::text[]) as booked (account, amount, transaction_id, branch_id)`,
    [
      kind,
      booked.map(({ account }) => account),
      booked.map(({ change }) => change),
      booked.map(({ transaction }) => transaction),
      booked.map(({ branch }) => branch),
    ],
  );
  await tx.query(
    `update account set balance = left_with.balance
       from unnest($1::text[], $2::bigint[]) as left_with (id, balance) where account.id = left_with.id`,
    [[...balances.keys()], [...balances.values()]],
  );
  return booked.map(({ balance }) => ({ balance }));
}
