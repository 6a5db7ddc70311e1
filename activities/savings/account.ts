/** A savings account, by its events: what may happen to it, and what it is after that has happened. No I/O. */
import { defineEventStore } from 'temporal-txn/outbox';
import type { Decider } from 'temporal-txn/outbox';
import { refuse } from 'temporal-txn/participant';

export type SavingsEvents = {
  Opened: { currency: string };
  Deposited: { amount: number };
  Withdrawn: { amount: number };
};

/** A stream for each account, named by its id. */
export const store = defineEventStore<SavingsEvents>({ Opened: [], Deposited: [], Withdrawn: [] });

export interface Account {
  /** None: there is no such account. */
  readonly currency?: string;
  /** In minor units. */
  readonly balance: number;
}

export interface Command {
  readonly kind: 'deposit' | 'withdraw';
  readonly amount: number;
  readonly currency: string;
}

export const account: Decider<Account, Command, SavingsEvents> = {
  initialState: { balance: 0 },
  decide({ kind, amount, currency }, { currency: own, balance }) {
    if (own === undefined) refuse('unknown-account', 'There is no such savings account');
    if (own !== currency) refuse('currency-mismatch', `The account is kept in ${own}, not in ${currency}`);
    if (kind === 'deposit') {
      if (balance > Number.MAX_SAFE_INTEGER - amount) refuse('balance-limit', `It cannot hold ${amount} more`);
      return [{ type: 'Deposited', data: { amount } }];
    }
    if (balance < amount) refuse('insufficient-funds', `Only ${balance} of ${amount} are there`);
    return [{ type: 'Withdrawn', data: { amount } }];
  },
  evolve(state, event) {
    switch (event.type) {
      case 'Opened':
        return { ...state, currency: event.data.currency };
      case 'Deposited':
        return { ...state, balance: state.balance + event.data.amount };
      case 'Withdrawn':
        return { ...state, balance: state.balance - event.data.amount };
    }
  },
  // Another code with every change of the two functions above.
  snapshots: { code: 'savings:1', every: 100 },
};
