/** What every way does: the same transfer, and where. */

/** From an account at North Bank to one at South Bank. */
export interface Transfer {
  readonly from: string;
  readonly to: string;
  readonly amount: number;
  readonly currency: string;
}

export type Bank = 'north-bank' | 'south-bank';
export const BANKS: readonly Bank[] = ['north-bank', 'south-bank'];

/** Accounts of each bank. Several times as many as there are transfers at a time, so that none waits for another one's. */
export const ACCOUNTS = 4_096;

/** The account of a transfer at either bank. Transfers with neighbouring numbers never meet. */
export const accountOf = (n: number): string => `account-${n % ACCOUNTS}`;

/** The record that is kept of a transfer where there are three databases. */
export const recordOf = ({ from, to, amount, currency }: Transfer) => ({
  kind: 'transfer',
  from: `north-bank/${from}`,
  to: `south-bank/${to}`,
  amount,
  currency,
});

/** Where the workflows of the two-database ways run. */
export const QUEUES = { saga: 'transactions', 'hand-written': 'hand-written' } as const;

/** The queue of a bank's hand-written activities. A participant's queue has the name of the participant. */
export const handWrittenQueue = (bank: Bank): string => `hand-written-${bank}`;
