/**
 * What must be true of the services' databases when no transaction is under way. Each service says it itself, in the view
 * `invariant_violation` of its schema, so that a person in psql can ask the same question.
 */
import type { Pool } from 'pg';

export interface Violation {
  /** What should be true. */
  readonly invariant: string;
  /** Of which account, article, … it is not. */
  readonly subject: string;
  readonly details: string;
}

/**
 * Lists what is wrong in a service's database; nothing when all is well.
 *
 * @param pool of a service that has the view: a bank, inventory, payments, orders or a travel company. The constraints of the others say it all.
 */
export async function violations(pool: Pool): Promise<Violation[]> {
  const { rows } = await pool.query<Violation>('select invariant, subject, details from invariant_violation');
  return rows;
}

/** What all accounts of some banks hold together, in minor units. No transfer between them may change it. */
export async function totalMoney(banks: readonly Pool[], currency: string): Promise<bigint> {
  const totals = await Promise.all(
    banks.map((bank) =>
      bank.query<{ total: string }>(
        'select coalesce(sum(balance), 0)::text as total from account where currency = $1',
        [currency],
      ),
    ),
  );
  return totals.reduce((sum, { rows }) => sum + BigInt(rows[0]!.total), 0n);
}
