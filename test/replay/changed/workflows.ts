/** The workflows as someone has changed them who did not think of those that are running. */
import { sleep } from '@temporalio/workflow';
import { branch, participant, saga, twoPhaseCommit } from 'temporal-txn/workflow';
import type { accounts } from '../../../activities/accounts/operations';
import type { audit } from '../../../activities/audit/operations';
import type { DeclaredOperation } from '../../../src/protocol';
import type { Transfer, TransferReceipt } from '../../../workflows/bank-transfer';
import { transferMoney as original } from '../workflows';

type Operation = DeclaredOperation<null, string, 'compensatable'>;

interface Service {
  readonly name: string;
  readonly operations: { readonly first: Operation; readonly second: Operation; readonly third: Operation };
}

const svc = participant<Service>('svc');

/** Waits before it begins. */
export async function transferMoney(transfer: Transfer): Promise<TransferReceipt> {
  await sleep('1 second');
  return original(transfer);
}

/** Another branch has become the primary. */
export async function transferMoneyAtomically({ from, to, amount, currency }: Transfer): Promise<void> {
  const bank = (name: string) => participant<typeof accounts>(name);
  await twoPhaseCommit([
    branch(bank(to.bank).credit, { account: to.account, amount, currency }),
    branch(bank(from.bank).debit, { account: from.account, amount, currency }),
    branch(participant<typeof audit>('audit').record, { kind: 'transfer', from: '', to: '', amount, currency }),
  ]);
}

/** Its first two steps have changed places. */
export async function pivotAndTail(): Promise<string> {
  return saga(async (s) => {
    await s.step(svc.second, null);
    await s.pivot(svc.first, null);
    return s.retriable(svc.third, null);
  });
}
