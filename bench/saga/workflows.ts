/** The transfer as this package writes it. */
import { participant, saga } from 'temporal-txn/workflow';
import type { accounts } from '../../activities/accounts/operations';
import type { Transfer } from '../transfer';

const north = participant<typeof accounts>('north-bank');
const south = participant<typeof accounts>('south-bank');

export async function transferBySaga({ from, to, amount, currency }: Transfer): Promise<number> {
  return saga(async (s) => {
    const debit = await s.step(north.debit, { account: from, amount, currency });
    await s.step(south.credit, { account: to, amount, currency });
    return debit.balance;
  });
}
