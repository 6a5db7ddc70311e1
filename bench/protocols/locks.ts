/**
 * How long a transfer keeps the debited account's row locked, and how long it keeps money reserved, from the databases
 * themselves, as in two-phase/locks.ts: a row is stamped with the clock by the statement after the lock, and PostgreSQL keeps
 * when the row was committed. A probe that tries to lock the row from outside, at any pace, would make transfers wait for it and
 * could not see what takes less than its pace.
 *
 * Try-confirm-cancel locks twice, to hold the money and to take it: that is added up. Between the two the money is reserved and
 * no row is locked.
 */
import type { Stage } from '../stage';
import { readHolds } from '../two-phase/locks';

export interface Kept {
  readonly way: string;
  /** Number of the transfer. */
  readonly n: number;
  /** How long the row was locked. */
  readonly lockedMs: number;
  /** From the commit of the try to that of the confirmation; 0 where nothing is reserved. */
  readonly reservedMs: number;
}

const RESERVED = `
  select h.transaction_id as transaction,
         extract(epoch from pg_xact_commit_timestamp(h.xmin) - h.held_at)::float8 * 1000 as "lockedMs",
         extract(epoch from pg_xact_commit_timestamp(e.xmin) - pg_xact_commit_timestamp(h.xmin))::float8 * 1000 as "reservedMs"
    from hold h
    join entry e using (transaction_id, branch_id)`;

interface ReservedRow {
  readonly transaction: string;
  readonly lockedMs: number;
  readonly reservedMs: number;
}

/** Of the debited account in every transfer that was made. */
export async function readKept({ pool }: Pick<Stage, 'pool'>): Promise<readonly Kept[]> {
  const { rows } = await pool('north-bank').query<ReservedRow>(RESERVED);
  const tries = new Map(rows.map((row) => [row.transaction, row]));
  const holds = await readHolds({ pool });
  return holds
    .filter(({ branch }) => branch === 'debit')
    .map(({ way, n, ms }) => {
      const tried = tries.get(`${way}-${n}`);
      return { way, n, lockedMs: ms + (tried?.lockedMs ?? 0), reservedMs: tried?.reservedMs ?? 0 };
    });
}
