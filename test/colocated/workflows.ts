/** The transfer by each protocol that can travel in one task, between banks that live where the coordinator does. */
import { branch, participant, reservation, saga, tryConfirmCancel, twoPhaseCommit } from 'temporal-txn/workflow';
import type { bank } from '../../bench/protocols/operations';
import type { Transfer } from '../../bench/transfer';

const north = participant<typeof bank>('north-bank', { colocated: true });
const south = participant<typeof bank>('south-bank', { colocated: true });

export const transferBySaga = ({ from, to, amount, currency }: Transfer): Promise<number> =>
  saga(async (s) => {
    const { balance } = await s.step(north.debit, { account: from, amount, currency });
    await s.step(south.credit, { account: to, amount, currency });
    return balance;
  });

export async function transferByTwoPhaseCommit({ from, to, amount, currency }: Transfer): Promise<number> {
  const [{ balance }] = await twoPhaseCommit([
    branch(north.debit, { account: from, amount, currency }),
    branch(south.credit, { account: to, amount, currency }),
  ]);
  return balance;
}

export async function transferByTryConfirmCancel({ from, to, amount, currency }: Transfer): Promise<number> {
  const [{ balance }] = await tryConfirmCancel([
    reservation(north.pay, { account: from, amount, currency }),
    reservation(south.receive, { account: to, amount, currency }),
  ]);
  return balance;
}
