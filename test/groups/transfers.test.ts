/** Grouped transfers on real PostgreSQL: every caller gets an answer of its own, and the books add up. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TransactionAborted, TransactionClient, TransactionCompensated } from '../../src/client';
import { TransactionTestEnvironment } from '../../src/testing';
import type { Transfer, TransferReceipt } from '../../workflows/bank-transfer';
import { bundleWorkflows } from '../bundle';
import { compiledWorkflows, quiet } from '../saga-more/environment';
import { surviveStandingClock } from '../standing-clock';
import { Bank, transferOf } from '../two-phase-commit/bank';

let bank: Bank;
let env: TransactionTestEnvironment;
let money: number;
const environment = {
  start: async (): Promise<void> => {
    env = await TransactionTestEnvironment.start({
      workflows: await bundleWorkflows(compiledWorkflows('groups')),
      participants: bank.activities(),
    });
  },
  stop: (): Promise<void> => env.stop(),
};
beforeAll(async () => {
  quiet();
  bank = await Bank.open();
  money = await bank.money();
  await environment.start();
});
afterAll(async () => {
  await env?.stop();
  await bank?.close();
});
surviveStandingClock(environment);

const clientOf = () => new TransactionClient({ client: env.temporal.client, grouping: { inFlight: 1 } });

let count = 0;

describe.each([
  { type: 'transferMoney', Refused: TransactionCompensated },
  { type: 'transferMoneyAtomically', Refused: TransactionAborted },
])('$type in a group', ({ type, Refused }) => {
  it('answers each caller', async () => {
    const transactions = clientOf();
    const ids = Array.from({ length: 40 }, () => `grouped-${++count}`);
    const ends = await Promise.allSettled(
      ids.map((id, i) =>
        transactions.execute<Transfer, TransferReceipt>(type, {
          id,
          input: transferOf(i === 7 ? 10 ** 12 : 1 + i),
        }),
      ),
    );
    for (const [i, end] of ends.entries()) {
      if (i === 7) expect(end).toMatchObject({ status: 'rejected', reason: expect.any(Refused) });
      else expect(end).toMatchObject({ status: 'fulfilled', value: { auditEntry: expect.any(String) } });
    }
    expect(await bank.money()).toBe(money);
    expect(await bank.prepared()).toEqual([]);
  });
});
