/** One transfer between two banks with an audit entry, by each protocol, and the workflow that an event of it starts; with those whose histories are recorded. */
import { condition, defineSignal, setHandler } from '@temporalio/workflow';
import { branch, groupOf, participant, saga, threePhaseCommit, twoPhaseCommit } from 'temporal-txn/workflow';
import { transferMoney, transferMoneyAtomically } from '../replay/workflows';
import type { accounts, audit } from './services';

export * from '../replay/workflows';

const north = participant<typeof accounts>('north-bank');
const south = participant<typeof accounts>('south-bank');
const trail = participant<typeof audit>('audit');

export interface Transfer {
  readonly amount: number;
  readonly to: string;
}

const debit = ({ amount }: Transfer) => ({ account: 'account-of-ann', amount });
const credit = ({ amount, to }: Transfer) => ({ account: to, amount });
const branchesOf = (transfer: Transfer) =>
  [
    branch(north.debit, debit(transfer)),
    branch(south.credit, credit(transfer)),
    branch(trail.record, { amount: transfer.amount }),
  ] as const;

export async function transferBySaga(transfer: Transfer): Promise<void> {
  await saga(async (s) => {
    await s.step(north.debit, debit(transfer));
    await s.step(south.credit, credit(transfer));
    await s.step(trail.record, { amount: transfer.amount });
  });
}

export async function transferByTwoPhases(transfer: Transfer): Promise<void> {
  await twoPhaseCommit(branchesOf(transfer));
}

export async function transferByThreePhases(transfer: Transfer): Promise<void> {
  await threePhaseCommit(branchesOf(transfer));
}

export const runGroup = groupOf({ transferBySaga, transferByTwoPhases, transferMoney, transferMoneyAtomically });

export const tellSignal = defineSignal<[boolean]>('tell');

/** Waits between its two steps until it is told to go on. */
export async function transferOnceTold(transfer: Transfer): Promise<void> {
  let told = false;
  setHandler(tellSignal, (goOn) => {
    told ||= goOn;
  });
  await saga(async (s) => {
    await s.step(north.debit, debit(transfer));
    await condition(() => told);
    await s.step(south.credit, credit(transfer));
  });
}

/** What the event of a transfer starts. */
export async function reportTransfer(event: {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly data: unknown;
}): Promise<void> {
  await saga((s) => s.step(trail.report, event));
}
