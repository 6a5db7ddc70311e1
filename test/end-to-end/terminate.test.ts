/** Workflows that an operator terminates or deletes: what was done stands, and the same id never takes effect twice. */
import { Client, Connection } from '@temporalio/client';
import {
  TransactionCompensated,
  TransactionInputMismatch,
  TransactionInterrupted,
  TransactionNotFound,
  TransactionNotInterrupted,
} from 'temporal-txn/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readBooks } from '../../demo/books';
import type { Books } from '../../demo/books';
import type { Transfer, TransferReceipt } from '../../workflows/bank-transfer';
import {
  branchesOf,
  cartOf,
  countOf,
  entriesOf,
  expectAllOrNothing,
  expectOrderOnce,
  expectSoundBooks,
  expectTransferOnce,
  newId,
  transferOf,
  until,
  untilReport,
  useShop,
} from './fixture';

const shop = useShop({
  open: ['north-bank', 'south-bank', 'audit', 'inventory', 'payments', 'shipping', 'orders', 'notifications'],
});
let temporal: Client;
let before: Books;
beforeAll(async () => {
  const { address, namespace } = shop().stack.temporal;
  temporal = new Client({ connection: await Connection.connect({ address }), namespace });
});
afterAll(() => temporal.connection.close());
beforeEach(async () => {
  before = await readBooks(shop());
});

const TRANSFER = 'transferMoney';

/** Starts a transfer that is terminated when the money has moved and the audit entry is missing. */
async function terminateBetweenSteps(input: Transfer): Promise<string> {
  const { transactions, workers } = shop();
  const id = newId('terminated');
  await workers.audit.stop();
  const handle = await transactions.start(TRANSFER, { id, input });
  await untilReport(handle, 'the money has moved', ({ steps }) => steps[1]?.fate.kind === 'done');
  await temporal.workflow.getHandle(id).terminate('an operator was in a hurry');
  await workers.audit.start();
  return id;
}

// Temporal takes half a minute to forget a workflow, as it does after the namespace's retention. So the transactions that it
// is to forget come first, and it forgets them while the other tests run.
const paid = { id: newId('forgotten'), input: transferOf(400) };
const refused = { id: newId('forgotten-refused'), input: transferOf(400, 'nobody') };
const cartId = newId('forgotten-cart');
const cart = { id: cartId, input: cartOf(cartId) };
// The first step's input differs, or only that of a later one: the first step by itself would then answer from its log.
const collisions = [
  ['amount', transferOf(401)],
  ['account to credit', transferOf(400, 'dave')],
  ['bank to debit', { ...transferOf(400), from: { bank: 'south-bank', account: 'dave' } }],
] as const satisfies readonly (readonly [string, Transfer])[];
const taken = new Map(collisions.map(([what]) => [what, newId('collision')]));
const forgotten = [paid.id, cartId, refused.id, ...taken.values()];
let firstAnswers: unknown[] = [];

beforeAll(async () => {
  const { transactions } = shop();
  firstAnswers = await Promise.all([transactions.execute(TRANSFER, paid), transactions.execute('checkout', cart)]);
  await expect(transactions.execute(TRANSFER, refused)).rejects.toThrow(TransactionCompensated);
  for (const id of taken.values()) await transactions.execute(TRANSFER, { id, input: transferOf(400) });
  await Promise.all(forgotten.map(remove));
});

async function remove(workflowId: string): Promise<void> {
  const { connection, options } = temporal;
  const workflowExecution = { workflowId };
  await connection.workflowService.deleteWorkflowExecution({ namespace: options.namespace, workflowExecution });
}

async function isForgotten(id: string): Promise<boolean> {
  try {
    await shop().transactions.handle(id).status();
    return false;
  } catch (error) {
    if (error instanceof TransactionNotFound) return true;
    throw error;
  }
}

async function untilForgotten(): Promise<void> {
  await Promise.all(forgotten.map((id) => until(`${id} is forgotten`, () => isForgotten(id), 100_000)));
}

describe('a transfer that is terminated between its steps', () => {
  it('is interrupted, and resumed with the same input it goes on from there, each effect once', async () => {
    const input = transferOf(700);
    const id = await terminateBetweenSteps(input);
    const { transactions } = shop();
    const error = await transactions
      .handle(id)
      .result()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionInterrupted);
    expect(error).toMatchObject({ id, message: expect.stringContaining('the steps of a saga that were done stand') });
    expect(await branchesOf(shop(), id)).toEqual([
      { service: 'north-bank', branch: 'north-bank.debit', state: 'applied' },
      { service: 'south-bank', branch: 'south-bank.credit', state: 'applied' },
    ]);
    const debited = await shop().databases['north-bank'].query<{ balance: string }>(
      "select balance from account where id = 'alice'",
    );

    const resumed = await transactions.resume<Transfer, TransferReceipt>(TRANSFER, { id, input });
    expect(await resumed.result()).toEqual({
      auditEntry: expect.any(String),
      balanceAfter: Number(debited.rows[0]?.balance),
    });
    const [report] = await resumed.reports<'saga'>();
    expect(report?.steps.map(({ fate }) => fate)).toEqual([
      { kind: 'done', answer: 'applied-before' },
      { kind: 'done', answer: 'applied-before' },
      { kind: 'done', answer: 'applied' },
    ]);
    await expectTransferOnce(shop(), id, input, 'committed');
    await expectAllOrNothing(shop(), id, 'committed');
    await expectSoundBooks(shop(), before);
  });

  it('is not started again by a repeated start, nor resumed with another input, nor twice', async () => {
    const input = transferOf(300);
    const id = await terminateBetweenSteps(input);
    const { transactions } = shop();
    await expect(transactions.execute(TRANSFER, { id, input })).rejects.toThrow(TransactionInterrupted);
    await expect(transactions.resume(TRANSFER, { id, input: transferOf(301) })).rejects.toThrow(
      TransactionInputMismatch,
    );
    await expect(transactions.resume('checkout', { id, input })).rejects.toThrow(TransactionInputMismatch);
    await (await transactions.resume(TRANSFER, { id, input })).result();
    await expect(transactions.resume(TRANSFER, { id, input })).rejects.toThrow(TransactionNotInterrupted);
    await expectTransferOnce(shop(), id, input, 'committed');
    await expectSoundBooks(shop(), before);
  });

  it('is undone as a whole when it is resumed and then refused', async () => {
    const { transactions, workers } = shop();
    const id = newId('terminated-refused');
    const input = transferOf(200, 'nobody');
    await workers['south-bank'].stop();
    const handle = await transactions.start(TRANSFER, { id, input });
    await untilReport(handle, 'the money is debited', ({ steps }) => steps[0]?.fate.kind === 'done');
    await temporal.workflow.getHandle(id).terminate();
    await workers['south-bank'].start();
    await expect((await transactions.resume(TRANSFER, { id, input })).result()).rejects.toThrow(TransactionCompensated);
    await expectTransferOnce(shop(), id, input, 'compensated');
    await expectAllOrNothing(shop(), id, 'compensated');
    await expectSoundBooks(shop(), before);
  });

  it('leaves no semantic lock behind when a checkout is terminated and resumed', async () => {
    const { transactions, workers } = shop();
    const id = newId('terminated-cart');
    const input = cartOf(id);
    await workers.notifications.stop();
    const handle = await transactions.start('checkout', { id, input });
    await untilReport(handle, 'the order is written', ({ steps }) => steps[2]?.fate.kind === 'done');
    await temporal.workflow.getHandle(id).terminate();
    await workers.notifications.start();
    expect(await countOf(shop(), 'orders', 'txn.semantic_lock where transaction_id = $1', [id])).toBe(1);
    await (await transactions.resume('checkout', { id, input })).result();
    await expectOrderOnce(shop(), id, 'committed', 0);
    await expectAllOrNothing(shop(), id, 'committed');
    await expectSoundBooks(shop(), before);
  });
});

describe('a transaction that Temporal has forgotten', () => {
  beforeAll(untilForgotten, 110_000);

  it('gives the same answer when it is started again, and has no second effect', async () => {
    const { transactions } = shop();
    const again = [await transactions.execute(TRANSFER, paid), await transactions.execute('checkout', cart)];
    expect(again).toEqual(firstAnswers);
    expect(await readBooks(shop())).toEqual(before);
    await expectTransferOnce(shop(), paid.id, paid.input, 'committed');
    await expectOrderOnce(shop(), cartId, 'committed', 0);
    await expectAllOrNothing(shop(), paid.id, 'committed');
    await expectAllOrNothing(shop(), cartId, 'committed');
    await expectSoundBooks(shop(), before);
  });

  it('is refused again when it was refused', async () => {
    await expect(shop().transactions.execute(TRANSFER, refused)).rejects.toThrow(TransactionCompensated);
    expect(await readBooks(shop())).toEqual(before);
    await expectTransferOnce(shop(), refused.id, refused.input, 'compensated');
    await expectSoundBooks(shop(), before);
  });

  it.each(collisions)(
    'keeps its effects when its id comes with another %s: refused, nothing undone',
    async (what, input) => {
      const { transactions } = shop();
      const id = taken.get(what)!;
      const error = await transactions.execute(TRANSFER, { id, input }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(TransactionInputMismatch);
      expect(String(error)).toContain('exists with another');
      expect(await readBooks(shop())).toEqual(before);
      // What the newcomer did before it was refused has branches of its own, and only that is undone.
      const own = what === 'bank to debit' ? ['south-bank debit -400', 'south-bank reversal 400'] : [];
      expect(await entriesOf(shop(), id)).toEqual(['north-bank debit -400', 'south-bank credit 400', ...own]);
      expect(await countOf(shop(), 'audit', 'standing_record where transaction_id = $1', [id])).toBe(1);
      const stands = (await branchesOf(shop(), id)).filter(({ state }) => state === 'applied');
      expect(stands.map(({ branch }) => branch)).toEqual(['north-bank.debit', 'south-bank.credit', 'audit.record']);
      await expectSoundBooks(shop(), before);
    },
  );
});
