/**
 * The transfer of the benchmark by each protocol, with less patience than the defaults: these tests wait for timeouts on a real
 * clock.
 */
import {
  branch,
  participant,
  reservation,
  threePhaseCommit,
  tryConfirmCancel,
  twoPhaseCommit,
} from 'temporal-txn/workflow';
import type { bank } from '../../bench/protocols/operations';
import type { Transfer } from '../../bench/transfer';

export { transferBySaga } from '../../bench/saga/workflows';
export { sharesTheLibrary } from '../workflow/workflows';

const north = participant<typeof bank>('north-bank');
const south = participant<typeof bank>('south-bank');

const attemptTimeout = '9 seconds';
const prepare = '20 seconds';

export async function transferByTwoPhaseCommit(transfer: Transfer): Promise<number> {
  const [debit] = await twoPhaseCommit(branchesOf(transfer), { attemptTimeout, timeouts: { prepare } });
  return debit.balance;
}

export async function transferByThreePhaseCommit(transfer: Transfer): Promise<number> {
  const timeouts = { prepare, uncertain: '21 seconds', preCommit: '8 seconds', preCommitted: '10 seconds' } as const;
  const [debit] = await threePhaseCommit(branchesOf(transfer), { attemptTimeout, timeouts });
  return debit.balance;
}

export async function transferByTryConfirmCancel({ from, to, amount, currency }: Transfer): Promise<number> {
  const [payment] = await tryConfirmCancel(
    [
      reservation(north.pay, { account: from, amount, currency }),
      reservation(south.receive, { account: to, amount, currency }),
    ],
    { attemptTimeout, timeouts: { try: prepare } },
  );
  return payment.balance;
}

const branchesOf = ({ from, to, amount, currency }: Transfer) =>
  [
    branch(north.debit, { account: from, amount, currency }),
    branch(south.credit, { account: to, amount, currency }),
  ] as const;
