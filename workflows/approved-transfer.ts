/**
 * A transfer that a person has to approve. The person is one of the branches: she asks what is waiting (`npm run approve`),
 * takes days if she likes, and votes. Only then are the banks asked, so no account is locked while she thinks.
 */
import { defineQuery, setHandler } from '@temporalio/workflow';
import { branch, participant, twoPhaseCommit } from 'temporal-txn/workflow';
import type { ExternalBranch, ExternalRequest } from 'temporal-txn/workflow';
import type { accounts } from '../activities/accounts/operations';
import type { Transfer, TransferReceipt } from './bank-transfer';

/** What waits for approval: the transfer, and what a vote on it needs. */
export interface PendingApproval {
  readonly transfer: Transfer;
  readonly request: ExternalRequest;
}

export const pendingApprovalQuery = defineQuery<PendingApproval | null>('pendingApproval');

const bank = (name: string) => participant<typeof accounts>(name);

export async function transferOnceApproved(transfer: Transfer): Promise<Pick<TransferReceipt, 'balanceAfter'>> {
  const { from, to, amount, currency } = transfer;
  const [debit] = await twoPhaseCommit([
    branch(bank(from.bank).debit, { account: from.account, amount, currency }),
    branch(bank(to.bank).credit, { account: to.account, amount, currency }),
    approvalOf(transfer),
  ]);
  return { balanceAfter: debit.balance };
}

function approvalOf(transfer: Transfer): ExternalBranch {
  let pending: PendingApproval | null = null;
  setHandler(pendingApprovalQuery, () => pending, { description: 'What waits for approval, if anything' });
  return {
    id: 'approval',
    async prepare(request) {
      pending = { transfer, request };
    },
    finish: 'none',
    voteTimeout: '7 days',
  };
}
