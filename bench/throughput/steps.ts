/** The two local transactions of a transfer, those of the hand-written activities, for contestants that have both databases in one process. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { bankActivities } from '../hand-written/activities';
import type { Balance } from '../hand-written/statements';
import { openBankPool } from '../hand-written/pool';
import type { Call } from './block';

export interface Steps {
  /** Of the two banks. */
  readonly pools: readonly [Pool, Pool];
  readonly debit: (call: Call) => Promise<Balance>;
  readonly credit: (call: Call) => Promise<Balance>;
  readonly reverseDebit: (call: Call) => Promise<Balance>;
  /** Holds a transfer open, if it is to be held, by a timer that does not survive this process. */
  readonly hold: (call: Call) => Promise<void>;
  /** Fails when one of the databases does not answer. */
  readonly check: () => Promise<void>;
}

/** On the databases that the environment names. */
export function openSteps(): Steps {
  const pools = [
    openBankPool(process.env['NORTH_DATABASE_URL']),
    openBankPool(process.env['SOUTH_DATABASE_URL']),
  ] as const;
  const [north, south] = [bankActivities(pools[0]), bankActivities(pools[1])];
  return {
    pools,
    debit: ({ id, transfer: { from: account, amount, currency } }) =>
      north.debit({ key: `${id}/debit`, account, amount, currency }),
    credit: ({ id, transfer: { to: account, amount, currency } }) =>
      south.credit({ key: `${id}/credit`, account, amount, currency }),
    reverseDebit: ({ id, transfer: { from: account, amount, currency } }) =>
      north.reverseDebit({ key: `${id}/reverse-debit`, account, amount, currency }),
    hold: async ({ holdMs }) => {
      if (holdMs > 0) await sleep(holdMs);
    },
    check: async () => {
      await Promise.all(pools.map((pool) => pool.query('select')));
    },
  };
}
