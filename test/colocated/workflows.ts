/** The transfer by each protocol that can travel in one task, between banks that live where the coordinator does. */
import {
  allHandlersFinished,
  ApplicationFailure,
  condition,
  defineUpdate,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
} from '@temporalio/workflow';
import {
  branch,
  groupOf,
  participant,
  reservation,
  saga,
  tryConfirmCancel,
  twoPhaseCommit,
} from 'temporal-txn/workflow';
import type { Saga, SagaOptions } from 'temporal-txn/workflow';
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

const bySaga = (banks: typeof near, transfer: Transfer, options?: SagaOptions): Promise<number> =>
  saga((s) => pay(s, banks, transfer), options);

/** Has a person told sooner than an attempt may take. */
export const transferImpatiently = (transfer: Transfer): Promise<number> =>
  bySaga(far, transfer, { holdAfter: '5 seconds' });
export const transferImpatientlyPastThePivot = ({ from, to, amount, currency }: Transfer): Promise<number> =>
  saga(
    async (s) => {
      const { balance } = await s.pivot(far.north.debit, { account: from, amount, currency });
      await s.retriable(far.south.credit, { account: to, amount, currency });
      return balance;
    },
    { holdAfter: '5 seconds' },
  );

async function pay(s: Saga, { north, south }: typeof near, { from, to, amount, currency }: Transfer): Promise<number> {
  const { balance } = await s.step(north.debit, { account: from, amount, currency });
  await s.step(south.credit, { account: to, amount, currency });
  return balance;
}

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

export const runGroup = groupOf({ transferBySaga, transferByTwoPhaseCommit, transferByTryConfirmCancel });

/** Has a person rule before it asks anybody. */
export const transferOnceRuled = (transfer: Transfer): Promise<number> =>
  saga(async (s) => {
    const doubt = async (): Promise<never> => {
      throw ApplicationFailure.nonRetryable('Nobody knows.');
    };
    await s.step({ name: 'doubtful', execute: doubt, compensate: async () => undefined }, null, { onUnknown: 'hold' });
    return pay(s, near, transfer);
  });

/** Makes a transfer for each update, so many in all. They come in any order: each is a transaction of its own name. */
export async function teller(transfers: number): Promise<void> {
  let made = 0;
  setHandler(defineUpdate<number, [string, Transfer]>('pay'), async (id, transfer) => {
    const balance = await bySaga(near, transfer, { id });
    made++;
    return balance;
  });
  await condition(() => made === transfers && allHandlersFinished());
}

interface Naps {
  nap(): Promise<void>;
}

/** Naps for each update, and has nothing of this package in it. @param where in the worker of the workflow, or by its task queue */
export async function sleepy(where: 'here' | 'anywhere'): Promise<void> {
  const once = { startToCloseTimeout: '10 seconds', retry: { maximumAttempts: 1 } } as const;
  const { nap } = where === 'here' ? proxyLocalActivities<Naps>(once) : proxyActivities<Naps>(once);
  setHandler(defineUpdate('nap'), nap);
  await condition(() => false);
}
