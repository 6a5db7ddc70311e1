/** The transfer as this package writes it. */
import { sleep } from '@temporalio/workflow';
import { branch, groupOf, participant, saga, twoPhaseCommit } from 'temporal-txn/workflow';
import type { Transfer } from '../transfer';
import type { bank } from './bank';

/** A transfer that may be held open in the middle, where that is what is measured. */
export type HeldTransfer = Transfer & { readonly holdMs: number };

const north = participant<typeof bank>('north-bank');
const south = participant<typeof bank>('south-bank');
/** Where they live in the process of the coordinator. */
const house = {
  north: participant<typeof bank>('north-bank', { colocated: true }),
  south: participant<typeof bank>('south-bank', { colocated: true }),
};

export async function transferBySaga({ from, to, amount, currency, holdMs }: HeldTransfer): Promise<number> {
  return saga(async (s) => {
    const debit = await s.step(north.debit, { account: from, amount, currency });
    if (holdMs > 0) await sleep(holdMs);
    await s.step(south.credit, { account: to, amount, currency });
    return debit.balance;
  });
}

/** The same where a bank does each movement by itself, also those that come together. */
export async function transferBySagaOneByOne({ from, to, amount, currency }: HeldTransfer): Promise<number> {
  return saga(async (s) => {
    const debit = await s.step(north.debitOneByOne, { account: from, amount, currency });
    await s.step(south.creditOneByOne, { account: to, amount, currency });
    return debit.balance;
  });
}

/** Of banks that are asked in the process of the coordinator. */
export async function transferBySagaInHouse({ from, to, amount, currency }: HeldTransfer): Promise<number> {
  return saga(async (s) => {
    const debit = await s.step(house.north.debit, { account: from, amount, currency });
    await s.step(house.south.credit, { account: to, amount, currency });
    return debit.balance;
  });
}

export async function transferBySagaInHouseOneByOne({ from, to, amount, currency }: HeldTransfer): Promise<number> {
  return saga(async (s) => {
    const debit = await s.step(house.north.debitOneByOne, { account: from, amount, currency });
    await s.step(house.south.creditOneByOne, { account: to, amount, currency });
    return debit.balance;
  });
}

/** Never held: its branches would keep their locks. */
export async function transferByTwoPhaseCommit({ from, to, amount, currency }: HeldTransfer): Promise<number> {
  const [debit] = await twoPhaseCommit([
    branch(north.debit, { account: from, amount, currency }),
    branch(south.credit, { account: to, amount, currency }),
  ]);
  return debit.balance;
}

export const runGroup = groupOf({
  transferBySaga,
  transferBySagaOneByOne,
  transferBySagaInHouse,
  transferBySagaInHouseOneByOne,
  transferByTwoPhaseCommit,
});
