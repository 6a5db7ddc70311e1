/** What both ways do: the same transfer, each on task queues of its own. */

/** From an account at North Bank to one at South Bank. */
export interface Transfer {
  readonly from: string;
  readonly to: string;
  readonly amount: number;
  readonly currency: string;
}

export type Way = 'saga' | 'hand-written';
export type Bank = 'north-bank' | 'south-bank';

/** Where the workflows of each way run. */
export const QUEUES = { saga: 'transactions', 'hand-written': 'hand-written' } as const satisfies Record<Way, string>;

/** The queue of a bank's hand-written activities. A participant's queue has the name of the participant. */
export const handWrittenQueue = (bank: Bank): string => `hand-written-${bank}`;
