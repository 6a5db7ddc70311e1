/** Grouped transfers on real PostgreSQL: every caller gets an answer of its own, and the books add up. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TransactionAborted, TransactionClient, TransactionCompensated } from '../../src/client';
import type { Transfer, TransferReceipt } from '../../workflows/bank-transfer';
import { startRealTimeEnvironment } from '../real-server';
import type { RealTimeEnvironment } from '../real-server';
import { Bank, transferOf } from '../two-phase-commit/bank';

let bank: Bank;
let env: RealTimeEnvironment;
let money: number;
beforeAll(async () => {
  bank = await Bank.open();
  money = await bank.money();
  env = await startRealTimeEnvironment('groups', bank.activities());
});
afterAll(async () => {
  await env?.stop();
  await bank?.close();
});

let count = 0;

describe.each([
  { type: 'transferMoney', transfers: 40, Refused: TransactionCompensated },
  // From and to the same accounts: by two-phase commit, each waits until the one before is decided.
  { type: 'transferMoneyAtomically', transfers: 5, Refused: TransactionAborted },
])('$type in a group', ({ type, transfers, Refused }) => {
  it('answers each caller', async () => {
    const transactions = new TransactionClient({ client: env.client, grouping: { inFlight: 1 } });
    const ids = Array.from({ length: transfers }, () => `grouped-${++count}`);
    const ends = await Promise.allSettled(
      ids.map((id, i) =>
        transactions.execute<Transfer, TransferReceipt>(type, {
          id,
          input: transferOf(i === 4 ? 10 ** 12 : 1 + i),
        }),
      ),
    );
    for (const [i, end] of ends.entries()) {
      if (i === 4) expect(end).toMatchObject({ status: 'rejected', reason: expect.any(Refused) });
      else expect(end).toMatchObject({ status: 'fulfilled', value: { auditEntry: expect.any(String) } });
    }
    expect(await bank.money()).toBe(money);
    expect(await bank.prepared()).toEqual([]);
  });
});
