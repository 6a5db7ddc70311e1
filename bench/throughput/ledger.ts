/**
 * What the banks have on their books. After each block it has to be one debit and one credit of every transfer that was made, of the right
 * account and amount, and nothing else; and all the money that there was.
 */
import type { Pool } from 'pg';
import { totalMoney } from '../../activities/invariants';
import { ACCOUNTS, BANKS } from '../transfer';
import type { Bank } from '../transfer';
import type { Stage } from '../stage';
import { prefixOf } from './block';

/** Hand-written transactions are known by the id of the transfer and the step, those of this package by the id alone. */
const WRONG = `
  with made as (
    select split_part(transaction_id, '/', 1) as transfer, account, kind, amount
      from entry
     where id > $1
  ), expected as (
    select $2 || n as transfer, 'account-' || n % ${ACCOUNTS} as account, $3 as kind, $4::bigint as amount
      from generate_series($5::int, $6::int) n
     where n <> all ($7::int[])
  )
  select (select count(*) from (table made except all table expected) as too_much)::int
       + (select count(*) from (table expected except all table made) as missing)::int as wrong`;

const LAST = 'select coalesce(max(id), 0)::text as last from entry';

const MOVEMENTS: Readonly<Record<Bank, { readonly kind: string; readonly amount: number }>> = {
  'north-bank': { kind: 'debit', amount: -1 },
  'south-bank': { kind: 'credit', amount: 1 },
};

export interface Applied {
  readonly way: string;
  readonly first: number;
  readonly count: number;
  readonly refused: readonly number[];
}

export class Ledger {
  readonly #last = new Map<Bank, string>();

  private constructor(
    private readonly pool: (bank: Bank) => Pool,
    private readonly money: bigint,
  ) {}

  static async open({ pool }: Pick<Stage, 'pool'>): Promise<Ledger> {
    const ledger = new Ledger(pool, await totalMoney(BANKS.map(pool), 'EUR'));
    for (const bank of BANKS) await ledger.#turnPage(bank);
    return ledger;
  }

  /** Looks at what has come since the last look. @returns how many entries are wrong or missing, and 1 more when money is */
  async check({ way, first, count, refused }: Applied): Promise<number> {
    let wrong = (await totalMoney(BANKS.map(this.pool), 'EUR')) === this.money ? 0 : 1;
    for (const bank of BANKS) {
      const { kind, amount } = MOVEMENTS[bank];
      const { rows } = await this.pool(bank).query<{ wrong: number }>(WRONG, [
        this.#last.get(bank),
        prefixOf(way),
        kind,
        amount,
        first,
        first + count - 1,
        refused,
      ]);
      wrong += rows[0]?.wrong ?? 0;
      await this.#turnPage(bank);
    }
    return wrong;
  }

  /** How many debits have come since the last look. */
  async debits(): Promise<number> {
    const { rows } = await this.pool('north-bank').query<{ debits: number }>(
      'select count(*)::int as debits from entry where id > $1',
      [this.#last.get('north-bank')],
    );
    return rows[0]?.debits ?? 0;
  }

  async #turnPage(bank: Bank): Promise<void> {
    const { rows } = await this.pool(bank).query<{ last: string }>(LAST);
    this.#last.set(bank, rows[0]?.last ?? '0');
  }
}
