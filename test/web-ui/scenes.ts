/** What is to be seen in the Web UI: transactions of several kinds, each ended in its own way, and one that waits for a person. */
import type { TransactionHandle } from 'temporal-txn/client';
import type { Shop } from '../../demo/shop';
import type { Transfer } from '../../workflows/bank-transfer';
import { cartOf, orderOf, transferOf, untilReport } from '../end-to-end/fixture';

/** All but the last have ended. */
export const IDS = {
  undeliverable: 'order-1001',
  declined: 'order-1002',
  refused: 'transfer-4711',
  atomic: 'transfer-4712',
  atomicRefused: 'transfer-4713',
  inThreePhases: 'transfer-4714',
  held: 'transfer-4715',
} as const;

export async function playScenes(shop: Shop): Promise<void> {
  const { transactions } = shop;
  const run = async (workflow: string, id: string, input: object): Promise<void> => {
    const handle = await transactions.start(workflow, { id, input });
    // Most are to fail. How they ended is what the Web UI has to say.
    await handle.result().catch(() => undefined);
  };
  await Promise.all([
    run('processOrder', IDS.undeliverable, orderOf(IDS.undeliverable, 'AQ')),
    run('checkout', IDS.declined, cartOf(IDS.declined, 'tok_declined')),
    run('transferMoney', IDS.refused, transferOf(2_500, 'nobody')),
  ]);
  // One after the other: they would wait for each other's locks.
  await run('transferMoneyAtomically', IDS.atomic, transferOf(2_500));
  await run('transferMoneyAtomically', IDS.atomicRefused, transferOf(2_500, 'nobody'));
  await run('transferMoneyInThreePhases', IDS.inThreePhases, transferOf(2_500));
  await playHeld(shop);
}

/** A transfer is called off when the money has been spent: its compensation waits for a person. */
async function playHeld(shop: Shop): Promise<void> {
  const { transactions, workers } = shop;
  const start = (id: string, input: Transfer): Promise<TransactionHandle> =>
    transactions.start('transferMoney', { id, input, summary: 'A transfer between two banks' });
  const received = ({ steps }: { steps: readonly { fate: { kind: string } }[] }): boolean =>
    steps[1]?.fate.kind === 'done';
  await workers.audit.stop();
  const held = await start(IDS.held, transferOf(1_000, 'dave'));
  await untilReport(held, 'Dave has the money', received);
  const balance = await balanceOf(shop, 'dave');
  const { from: alice, to: dave, ...rest } = transferOf(balance, 'dave');
  const spent = await start(`${IDS.held}-spent`, { from: dave, to: alice, ...rest });
  await untilReport(spent, 'Dave has spent it', received);
  await held.cancel();
  await workers.audit.start();
  await spent.result();
  await untilReport(held, 'it is held', ({ outcome }) => outcome === 'held');
}

async function balanceOf({ databases }: Shop, account: string): Promise<number> {
  const { rows } = await databases['south-bank'].query<{ balance: string }>(
    'select balance from account where id = $1',
    [account],
  );
  return Number(rows[0]?.balance);
}
