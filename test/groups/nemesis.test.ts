/**
 * Grouped transfers in both directions, as sagas and by two-phase commit, while somebody kills workers, databases and Temporal. Each
 * caller hears how its own ended; then every answer is compared with the databases.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connectTemporal, TransactionAborted, TransactionClient, TransactionCompensated } from 'temporal-txn/client';
import { expect, it } from 'vitest';
import { readBooks } from '../../demo/books';
import type { Shop, WorkerName } from '../../demo/shop';
import type { CrashpointName } from '../../src/protocol';
import type { Transfer } from '../../workflows/bank-transfer';
import { depth, some } from '../depth';
import { arm, entriesOf, expectSoundBooks, expectTransferOnce, newId, useShop } from '../end-to-end/fixture';
import { untilNothingPrepared } from '../end-to-end/two-phase-fixture';

const SECONDS = depth({ sample: 6, campaign: 120 });
const SETTLE_MS = 120_000;
const TYPES = ['transferMoney', 'transferMoneyAtomically'] as const;

const shop = useShop({ open: ['north-bank', 'south-bank', 'audit'] });

const transferOf = (n: number): Transfer => {
  const there = { bank: 'north-bank', account: n % 4 === 0 ? 'carol' : 'alice' } as const;
  const back = { bank: 'south-bank', account: n % 7 === 0 ? 'nobody' : 'bob' } as const;
  const amount = 1 + (n % 900);
  return n % 3 === 0
    ? { from: back, to: there, amount, currency: 'EUR' }
    : { from: there, to: back, amount, currency: 'EUR' };
};

const connect = () => {
  const { address, namespace } = shop().stack.temporal;
  return connectTemporal({ address, namespace });
};

/** The same for one that may have been tried several times, each time under an id of its own. */
async function expectAtomicOnce(open: Shop, id: string, { from, to, amount }: Transfer, end: string): Promise<void> {
  const ids = [id, ...Array.from({ length: 9 }, (_, n) => `${id}+${n + 2}`)];
  const entries = (await Promise.all(ids.map((one) => entriesOf(open, one)))).flat();
  const wanted = end === 'committed' ? [`${from.bank} debit ${-amount}`, `${to.bank} credit ${amount}`] : [];
  expect(entries.sort(), id).toEqual(wanted.sort());
}

const CRASHES: readonly (readonly [(typeof TYPES)[number], CrashpointName])[] = [
  ['transferMoney', 'branch.logged-before-work'],
  ['transferMoney', 'branch.before-commit'],
  ['transferMoney', 'many.done-before-report'],
  ['transferMoneyAtomically', 'two-phase.before-prepare'],
  ['transferMoneyAtomically', 'two-phase.prepared-before-vote'],
  ['transferMoneyAtomically', 'two-phase.decided-before-finish'],
  ['transferMoneyAtomically', 'two-phase.finished-before-report'],
  ['transferMoneyAtomically', 'many.done-before-report'],
];

it.each(some(CRASHES, 1, 'crashes in groups'))(
  'commits a group of %s once whose participant dies at %s',
  async (type, at) => {
    const before = await readBooks(shop());
    const client = await connect();
    const grouping = new TransactionClient({ client, grouping: true });
    const crashed = await arm(shop(), 'north-bank', { at, action: { kind: 'kill' } });
    const work = Array.from({ length: type === TYPES[0] ? 20 : 3 }, (_, n) => ({ id: newId(type), amount: n + 1 }));
    const transfers = work.map(({ id, amount }) => ({ id, transfer: { ...transferOf(1), amount } }));
    await Promise.all(transfers.map(({ id, transfer }) => grouping.execute(type, { id, input: transfer })));
    expect(crashed()).toContain(at);
    await untilNothingPrepared(shop());
    for (const { id, transfer } of transfers)
      if (type === TYPES[0]) await expectTransferOnce(shop(), id, transfer, 'committed');
      else await expectAtomicOnce(shop(), id, transfer, 'committed');
    await expectSoundBooks(shop(), before);
    await client.connection.close();
  },
  90_000,
);

it(
  'ends every one of them as its caller was told, and the books add up',
  async () => {
    const { stack, workers } = shop();
    const before = await readBooks(shop());
    const client = await connect();
    const grouping = new TransactionClient({ client, grouping: { maxSize: 50, inFlight: 2 }, patienceMs: 60_000 });
    const began = Date.now();
    const submitted: { id: string; type: (typeof TYPES)[number]; transfer: Transfer; end: Promise<string> }[] = [];
    const submit = async (): Promise<void> => {
      for (let n = 0; Date.now() - began < SECONDS * 1_000; n++) {
        const type = n % 20 === 0 ? TYPES[1] : TYPES[0];
        const id = newId(`grouped-${type}`);
        const transfer = transferOf(n);
        const end = grouping.execute<Transfer, unknown>(type, { id, input: transfer }).then(
          () => 'committed',
          (error: unknown) => {
            if (error instanceof TransactionCompensated || error instanceof TransactionAborted) return 'compensated';
            throw error;
          },
        );
        end.catch(() => undefined);
        submitted.push({ id, type, transfer, end });
        if (n % 10 === 9) await sleep(500);
      }
    };
    const breakThings = async (): Promise<void> => {
      const names: readonly WorkerName[] = ['transactions', 'north-bank', 'south-bank'];
      for (let n = 0; Date.now() - began < SECONDS * 1_000; n++) {
        await sleep(1_500);
        await workers[names[n % names.length]!].kill();
        const server = n % 3 === 2 ? stack.temporal : stack.postgres[n % 2 === 0 ? 'a' : 'b'];
        if (n % 3 === 0) continue;
        await server.kill();
        await sleep(300);
        await server.restart();
      }
    };
    await Promise.all([submit(), breakThings()]);
    await grouping.drain();
    await grouping.close();
    await untilNothingPrepared(shop());
    const ends = await Promise.all(submitted.map(({ end }) => end));
    expect(ends.filter((end) => end === 'committed').length).toBeGreaterThan(submitted.length / 4);
    expect(ends.filter((end) => end === 'compensated').length).toBeGreaterThan(0);
    for (const [i, { id, type, transfer }] of submitted.entries()) {
      const end = ends[i] as 'committed' | 'compensated';
      if (type === 'transferMoney') await expectTransferOnce(shop(), id, transfer, end);
      else await expectAtomicOnce(shop(), id, transfer, end);
    }
    await expectSoundBooks(shop(), before);
    await client.connection.close();
  },
  SECONDS * 1_000 + SETTLE_MS + 120_000,
);
