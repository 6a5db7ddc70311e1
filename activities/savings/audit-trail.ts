/** What an auditor asks of savings accounts. The answers come from the events, so they cannot differ from what has happened. */
import type { Pool } from 'pg';
import { account, store } from './account';

/** What an account held at some time, in minor units. */
export async function balanceAsOf(pool: Pool, id: string, time: Date): Promise<number> {
  const { state } = await store.load(pool, account, id, { until: time });
  return state.balance;
}

export interface Entry {
  readonly time: Date;
  readonly amount: number;
  readonly balance: number;
  /** The transaction that it was part of: the id of its workflow. */
  readonly transaction?: string;
}

/** Every movement of an account, with what it held afterwards. */
export async function statement(pool: Pool, id: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  let { initialState: state } = account;
  for await (const event of store.readStream(pool, id)) {
    const before = state.balance;
    state = account.evolve(state, event);
    const { time, transaction } = event;
    if (event.type !== 'Opened')
      entries.push({
        time,
        amount: state.balance - before,
        balance: state.balance,
        ...(transaction === undefined ? {} : { transaction }),
      });
  }
  return entries;
}
