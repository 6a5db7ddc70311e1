/**
 * How long each branch held its row lock, from the databases themselves. Every entry is stamped with the clock when it is
 * booked, which is the statement after the lock; PostgreSQL keeps the time of the commit, for a prepared transaction that of
 * COMMIT PREPARED. So every way is measured alike, and no process has a probe in it. Not in it: the statement that locks, and
 * the flush of the commit to disk, a millisecond or two at either end.
 */
import type { Stage } from '../stage';

export interface Hold {
  readonly way: string;
  /** Number of the transfer. */
  readonly n: number;
  /** The debit is the first branch, the one with the decision. */
  readonly branch: 'debit' | 'credit';
  readonly ms: number;
}

const HOLDS = `
  select kind as branch, transaction_id as transaction,
         extract(epoch from pg_xact_commit_timestamp(xmin) - booked_at)::float8 * 1000 as ms
    from entry
   where kind = $1`;

interface HoldRow {
  readonly branch: Hold['branch'];
  readonly transaction: string;
  readonly ms: number;
}

/** Of every transfer that was made. */
export async function readHolds({ pool }: Pick<Stage, 'pool'>): Promise<readonly Hold[]> {
  const [debits, credits] = await Promise.all([
    pool('north-bank').query<HoldRow>(HOLDS, ['debit']),
    pool('south-bank').query<HoldRow>(HOLDS, ['credit']),
  ]);
  return [...debits.rows, ...credits.rows].flatMap(({ branch, transaction, ms }) => {
    const [, way, n] = /^(.+)-(\d+)$/.exec(transaction) ?? [];
    return way === undefined || n === undefined ? [] : [{ way, n: Number(n), branch, ms }];
  });
}
