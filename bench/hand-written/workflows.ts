/** The transfer as a careful team writes it on plain Temporal: explicit timeouts, and a compensation for the first step. */
import { ActivityFailure, proxyActivities, sleep, workflowInfo } from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import { handWrittenQueue } from '../transfer';
import type { Bank, Transfer } from '../transfer';
import type { BankActivities } from './activities';

const OPTIONS = {
  startToCloseTimeout: '10 seconds',
  scheduleToCloseTimeout: '2 minutes',
  retry: { initialInterval: '200 ms', maximumInterval: '10 seconds' },
} satisfies ActivityOptions;

const activitiesOf = (bank: Bank): BankActivities =>
  proxyActivities<BankActivities>({ taskQueue: handWrittenQueue(bank), ...OPTIONS });

const north = activitiesOf('north-bank');
const south = activitiesOf('south-bank');

// Tried until it succeeds: the money must go back.
const { reverseDebit } = proxyActivities<BankActivities>({
  taskQueue: handWrittenQueue('north-bank'),
  startToCloseTimeout: OPTIONS.startToCloseTimeout,
  retry: OPTIONS.retry,
});

/** @param holdMs how long it is held open in the middle, where that is what is measured */
export async function transferByHand({ from, to, amount, currency }: Transfer, holdMs = 0): Promise<number> {
  const id = workflowInfo().workflowId;
  const { balance } = await north.debit({ key: `${id}/debit`, account: from, amount, currency });
  if (holdMs > 0) await sleep(holdMs);
  try {
    await south.credit({ key: `${id}/credit`, account: to, amount, currency });
  } catch (error) {
    if (error instanceof ActivityFailure)
      await reverseDebit({ key: `${id}/reverse-debit`, account: from, amount, currency });
    throw error;
  }
  return balance;
}
