/** The transfer by each protocol that can travel in one task, between banks that live where the coordinator does. */
import { branch, participant, reservation, saga, tryConfirmCancel, twoPhaseCommit } from 'temporal-txn/workflow';
import type { bank } from '../../bench/protocols/operations';
import type { Transfer } from '../../bench/transfer';

const near = {
  north: participant<typeof bank>('north-bank', { colocated: true }),
  south: participant<typeof bank>('south-bank', { colocated: true }),
};
const far = { north: participant<typeof bank>('north-bank'), south: participant<typeof bank>('south-bank') };

export const transferBySaga = (transfer: Transfer): Promise<number> => bySaga(near, transfer);
export const transferBySagaFromAfar = (transfer: Transfer): Promise<number> => bySaga(far, transfer);
export const transferByTwoPhaseCommit = (transfer: Transfer): Promise<number> => byTwoPhaseCommit(near, transfer);
export const transferByTwoPhaseCommitFromAfar = (transfer: Transfer): Promise<number> =>
  byTwoPhaseCommit(far, transfer);

const bySaga = ({ north, south }: typeof near, { from, to, amount, currency }: Transfer): Promise<number> =>
  saga(async (s) => {
    const { balance } = await s.step(north.debit, { account: from, amount, currency });
    await s.step(south.credit, { account: to, amount, currency });
    return balance;
  });

async function byTwoPhaseCommit(
  { north, south }: typeof near,
  { from, to, amount, currency }: Transfer,
): Promise<number> {
  const [{ balance }] = await twoPhaseCommit([
    branch(north.debit, { account: from, amount, currency }),
    branch(south.credit, { account: to, amount, currency }),
  ]);
  return balance;
}

export async function transferByTryConfirmCancel({ from, to, amount, currency }: Transfer): Promise<number> {
  const [{ balance }] = await tryConfirmCancel([
    reservation(near.north.pay, { account: from, amount, currency }),
    reservation(near.south.receive, { account: to, amount, currency }),
  ]);
  return balance;
}
