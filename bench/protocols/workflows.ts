/** The same transfer between two banks by each protocol, with the options that one gets by giving none. */
import {
  branch,
  participant,
  reservation,
  threePhaseCommit,
  tryConfirmCancel,
  twoPhaseCommit,
} from 'temporal-txn/workflow';
import type { Transfer } from '../transfer';
import type { bank } from './operations';

export { transferBySaga } from '../saga/workflows';

const north = participant<typeof bank>('north-bank');
const south = participant<typeof bank>('south-bank');

export async function transferByTwoPhaseCommit(transfer: Transfer): Promise<number> {
  const [debit] = await twoPhaseCommit(branchesOf(transfer));
  return debit.balance;
}

export async function transferByThreePhaseCommit(transfer: Transfer): Promise<number> {
  const [debit] = await threePhaseCommit(branchesOf(transfer));
  return debit.balance;
}

export async function transferByTryConfirmCancel({ from, to, amount, currency }: Transfer): Promise<number> {
  const [payment] = await tryConfirmCancel([
    reservation(north.pay, { account: from, amount, currency }),
    reservation(south.receive, { account: to, amount, currency }),
  ]);
  return payment.balance;
}

const branchesOf = ({ from, to, amount, currency }: Transfer) =>
  [
    branch(north.debit, { account: from, amount, currency }),
    branch(south.credit, { account: to, amount, currency }),
  ] as const;
