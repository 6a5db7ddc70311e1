/** The scripts as people and programs call them: what they print, how they exit, and what happened meanwhile. */
import { Client, Connection } from '@temporalio/client';
import { TransactionNotFound } from 'temporal-txn/client';
import { beforeEach, describe, expect, it } from 'vitest';
import { readBooks } from '../../demo/books';
import type { Books } from '../../demo/books';
import { freePort } from '../../src/testing';
import { isTurnOf, some } from '../depth';
import {
  countOf,
  endOf,
  entriesOf,
  expectOrderOnce,
  expectSoundBooks,
  newId,
  until,
  useShop,
} from '../end-to-end/fixture';
import { json, start } from './call';
import type { Ended, Script } from './call';

const isDue = isTurnOf('what users see', 'scripts');
const shop = useShop({
  open: ['north-bank', 'south-bank', 'audit', 'inventory', 'payments', 'shipping', 'orders', 'notifications'],
});
let before: Books;
beforeEach(async () => {
  before = await readBooks(shop());
});

const call = (script: Script, args: readonly string[], address = shop().stack.temporal.address): Promise<Ended> =>
  start(script, args, { TEMPORAL_ADDRESS: address }).ended;

const transfer = ['--from', 'north-bank/alice', '--to', 'south-bank/bob', '--amount', '12.50'];
const order = ['--item', 'BOOK-1:2', '--total', '59.80'];
const checkout = ['--item', 'BOOK-1', '--total', '29.90', '--email', 'ann@customer.example'];

describe.skipIf(!isDue)('a transaction that commits', () => {
  it('is shown as a table with its steps, and exits with 0', async () => {
    const id = newId('table');
    const { code, stdout, stderr } = await call('transfer', [...transfer, '--id', id]);
    expect(stderr).toBe('');
    expect(stdout).toContain(`${id} …`);
    for (const step of ['north-bank.debit', 'south-bank.credit', 'audit.record']) {
      expect(stdout).toMatch(new RegExp(`^${step} .*done`, 'm'));
    }
    expect(stdout).toContain('outcome: committed');
    expect(code).toBe(0);
    expect(await entriesOf(shop(), id)).toEqual(['north-bank debit -1250', 'south-bank credit 1250']);
    await expectSoundBooks(shop(), before);
  });

  it('is one JSON value with --json', async () => {
    const ids = { transfer: newId('json-t'), order: newId('json-o'), checkout: newId('json-c') };
    const [transferred, ordered, checkedOut] = await Promise.all([
      call('transfer', [...transfer, '--id', ids.transfer, '--json']),
      call('order', [...order, '--id', ids.order, '--json']),
      call('checkout', [...checkout, '--id', ids.checkout, '--json']),
    ]);
    expect([transferred, ordered, checkedOut].map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      Array(3).fill({ code: 0, stderr: '' }),
    );
    expect(json(transferred)).toMatchObject({
      id: ids.transfer,
      outcome: 'committed',
      result: { auditEntry: expect.any(String), balanceAfter: expect.any(Number) },
    });
    expect(json(ordered)).toMatchObject({
      outcome: 'committed',
      result: { order: ids.order.toUpperCase(), status: 'CONFIRMED', trackingNumber: expect.stringMatching(/^TT\d+/) },
      report: { outcome: 'committed' },
    });
    expect(json(checkedOut)).toMatchObject({ outcome: 'committed', result: { order: ids.checkout.toUpperCase() } });
    await expectOrderOnce(shop(), ids.order, 'committed', 1);
    await expectOrderOnce(shop(), ids.checkout, 'committed', 0);
    await expectSoundBooks(shop(), before);
  });
});

describe.skipIf(!isDue)('a transaction that is refused', () => {
  it('is shown with the step that refused and what was undone, and exits with 1', async () => {
    const id = newId('refused');
    const args = ['--from', 'north-bank/alice', '--to', 'south-bank/nobody', '--amount', '5', '--id', id];
    const { code, stdout, stderr } = await call('transfer', args);
    expect(stdout).toMatch(/^north-bank\.debit .*compensated/m);
    expect(stdout).toMatch(/^south-bank\.credit .*refused: unknown-account/m);
    expect(stdout).toContain('outcome: compensated');
    expect(stdout + stderr).not.toMatch(/^\s+at /m);
    expect(code).toBe(1);
    await expectSoundBooks(shop(), before);
  });

  it.each([
    ['transfer', ['--from', 'north-bank/alice', '--to', 'south-bank/bob', '--amount', '9000000'], 'insufficient-funds'],
    ['order', [...order, '--region', 'AQ'], 'undeliverable'],
    ['checkout', [...checkout, '--card', 'tok_declined'], 'card-declined'],
  ] as const)('is one JSON value with the reason with --json (%s)', async (script, args, code) => {
    const ended = await call(script, [...args, '--json']);
    expect(json(ended)).toMatchObject({
      outcome: 'compensated',
      report: { outcome: 'compensated', cause: { kind: 'refused', refusal: { code } } },
    });
    expect(ended.code).toBe(1);
    await expectSoundBooks(shop(), before);
  });
});

const without = (args: readonly string[], option: string, ...instead: string[]): string[] => {
  const at = args.indexOf(option);
  return [...args.slice(0, at), ...instead, ...args.slice(at + 2)];
};

const WRONG: readonly (readonly [string, Script, readonly string[], string])[] = [
  ['no amount', 'transfer', without(transfer, '--amount'), '--amount'],
  [
    'a negative amount',
    'transfer',
    without(transfer, '--amount', '--amount=-5'),
    '"-5" is not a positive amount of EUR',
  ],
  ['nothing', 'transfer', without(transfer, '--amount', '--amount', '0.00'), '"0.00" is not a positive amount'],
  ['too many decimals', 'transfer', without(transfer, '--amount', '--amount', '1.005'), 'with at most 2 decimals'],
  ['yen with decimals', 'transfer', [...transfer, '--currency', 'JPY'], 'with at most 0 decimals'],
  [
    'an amount that no number holds',
    'transfer',
    without(transfer, '--amount', '--amount', '90071992547409.92'),
    '90071992547409.92 EUR is too large: the most is 90071992547409.91.',
  ],
  [
    'an amount that is larger still',
    'transfer',
    without(transfer, '--amount', '--amount', '99999999999999999999'),
    '99999999999999999999 EUR is too large',
  ],
  [
    'an amount in words',
    'transfer',
    without(transfer, '--amount', '--amount', '1e3'),
    '"1e3" is not a positive amount',
  ],
  ['an unknown currency', 'transfer', [...transfer, '--currency', 'EURO'], '"EURO" is not an ISO 4217 currency code'],
  [
    'an unknown bank',
    'transfer',
    without(transfer, '--to', '--to', 'east-bank/bob'),
    '"east-bank/bob" is not an account',
  ],
  ['an odd account', 'transfer', without(transfer, '--from', '--from', "north-bank/a'b"), 'is not an account'],
  [
    'a transfer to oneself',
    'transfer',
    without(transfer, '--to', '--to', 'north-bank/alice'),
    '--from and --to are the same account',
  ],
  [
    'a transfer to oneself by two-phase commit',
    'transfer',
    [...without(transfer, '--to', '--to', 'north-bank/alice'), '--protocol', '2pc'],
    '--from and --to are the same account',
  ],
  [
    'a saga that is approved',
    'transfer',
    [...transfer, '--protocol', 'saga', '--approved'],
    '--approved goes by two-phase commit',
  ],
  [
    'three-phase commit that is approved',
    'transfer',
    [...transfer, '--protocol', '3pc', '--approved'],
    '--approved goes by two-phase commit',
  ],
  ['an odd id', 'transfer', [...transfer, '--id', 'a b'], 'transaction id "a b" is not allowed'],
  ['an unknown option', 'transfer', [...transfer, '--force'], "unknown option '--force'"],
  ['no articles', 'order', without(order, '--item'), '--item'],
  ['no pieces', 'order', [...order, '--item', 'LAMP-1:0'], '"LAMP-1:0" is not an article'],
  ['an article twice', 'order', [...order, '--item', 'BOOK-1'], 'BOOK-1 is there twice'],
  ['an odd region', 'order', [...order, '--region', 'Germany'], '"Germany" is not an ISO 3166 code'],
  ['an odd total', 'order', without(order, '--total', '--total', 'free'), '"free" is not a positive amount'],
  ['an odd address', 'checkout', without(checkout, '--email', '--email', 'ann'), '"ann" is not a mail address'],
  ['no address', 'checkout', without(checkout, '--email'), '--email'],
];

describe.skipIf(!isDue)('wrong input', () => {
  // Each is a process.
  it.each(some(WRONG, 5, 'wrong input'))('%s is named, and nothing is started', async (_, script, args, message) => {
    const id = newId('wrong');
    const given = args.includes('--id') ? args : [...args, '--id', id];
    const { code, stdout, stderr } = await call(script, given);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stdout).toBe('');
    expect(code).toBe(2);
    await expect(shop().transactions.handle(id).status()).rejects.toThrow(TransactionNotFound);
  });

  it('does not repeat what may be the number of a card', async () => {
    const { code, stderr } = await call('order', [...order, '--card', '4111111111111111']);
    expect(stderr).toContain('not a card token');
    expect(stderr).not.toContain('4111111111111111');
    expect(code).toBe(2);
  });
});

describe.skipIf(!isDue)('an id', () => {
  it('that is given twice gives the same answer, and one effect', async () => {
    const id = newId('twice');
    const args = [...transfer, '--id', id, '--json'];
    const [first, beside] = await Promise.all([call('transfer', args), call('transfer', args)]);
    const later = await call('transfer', args);
    expect(json(first)).toMatchObject({ id, outcome: 'committed' });
    expect(json(beside)).toEqual(json(first));
    expect(json(later)).toEqual(json(first));
    expect([first, beside, later].map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(await entriesOf(shop(), id)).toEqual(['north-bank debit -1250', 'south-bank credit 1250']);
  });

  it('of one that has committed says so though no worker can tell of its steps', async () => {
    const id = newId('untold');
    const args = [...transfer, '--id', id];
    const first = json(await call('transfer', [...args, '--json']));
    const { transactions } = shop().workers;
    await transactions.stop();
    const [plain, asJson] = await Promise.all([call('transfer', args), call('transfer', [...args, '--json'])]);
    await transactions.start();
    expect([plain, asJson].map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      Array(2).fill({ code: 0, stderr: '' }),
    );
    const why = `Its steps cannot be shown: It is not known how transaction ${id} stands: no worker of task queue "transactions" answers`;
    expect(plain.stdout).toContain(`outcome: committed\n${why}`);
    expect(json(asJson)).toEqual({
      id,
      outcome: 'committed',
      result: first['result'],
      noReport: expect.stringContaining(why),
    });
  }, 60_000);

  it('that belongs to something else is refused, and nothing happens', async () => {
    const id = newId('taken');
    await call('transfer', [...transfer, '--id', id]);
    const entries = await entriesOf(shop(), id);
    const others = [
      await call('transfer', [...without(transfer, '--amount', '--amount', '13'), '--id', id]),
      await call('order', [...order, '--id', id]),
    ];
    expect(others.map(({ stderr }) => stderr)).toEqual([
      expect.stringContaining(`Nothing was changed: transaction ${id} exists with another input`),
      expect.stringContaining(`Nothing was changed: transaction ${id} exists with another workflow type`),
    ]);
    expect(others.map(({ code, stdout }) => ({ code, stdout }))).toEqual(Array(2).fill({ code: 2, stdout: '' }));
    expect(await entriesOf(shop(), id)).toEqual(entries);
    expect(await countOf(shop(), 'orders', 'customer_order where id = $1', [id.toUpperCase()])).toBe(0);
  });
});

describe.skipIf(!isDue)('--detach', () => {
  it('starts the transaction and does not wait for it; what was terminated meanwhile is not called undone', async () => {
    const { audit } = shop().workers;
    const [kept, terminated] = [newId('detached'), newId('detached-terminated')];
    await audit.stop();
    const started = await call('transfer', [...transfer, '--id', kept, '--detach']);
    expect(started).toMatchObject({ code: 0, stdout: `started ${kept}\n`, stderr: '' });
    const startedJson = await call('transfer', [...transfer, '--id', terminated, '--detach', '--json']);
    expect(json(startedJson)).toEqual({ id: terminated, outcome: 'started' });
    expect(await shop().transactions.handle(kept).status()).toBe('RUNNING');

    await until('the money has moved', async () => (await entriesOf(shop(), terminated)).length === 2);
    const { address, namespace } = shop().stack.temporal;
    const connection = await Connection.connect({ address });
    await new Client({ connection, namespace }).workflow.getHandle(terminated).terminate();
    await connection.close();
    const waiting = await call('transfer', [...transfer, '--id', terminated]);
    expect(waiting.stdout).toContain(`Transaction ${terminated} was terminated`);
    expect(waiting.code).toBe(3);

    await audit.start();
    expect(await endOf(shop(), kept)).toBe('committed');
    expect(await entriesOf(shop(), kept)).toEqual(['north-bank debit -1250', 'south-bank credit 1250']);
  });
});

describe.skipIf(!isDue)('without a server', () => {
  it('says so soon, and that nothing was started', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const [plain, asJson] = await Promise.all([
      call('transfer', transfer, address),
      call('order', [...order, '--json'], address),
    ]);
    for (const { code, stdout, stderr, seconds } of [plain, asJson]) {
      expect(stderr).toContain(`Nothing was started: no Temporal server answers at ${address}`);
      expect(stderr).not.toMatch(/^\s+at /m);
      expect(stdout).toBe('');
      expect(code).toBe(2);
      // It tries for ten, and a busy machine needs some to start two processes.
      expect(seconds).toBeLessThan(45);
    }
    expect(JSON.parse(asJson.stderr)).toMatchObject({ outcome: 'error' });
  });

  it('refuses one that would be reached in plain text', async () => {
    const { code, stderr } = await call('transfer', transfer, '192.0.2.1:7233');
    expect(stderr).toContain('is not on this machine and neither TLS nor an API key is configured');
    expect(code).toBe(2);
  });
});

describe.skipIf(!isDue)('a server that is gone while a script waits', () => {
  it('leaves it unknown how the transaction ended; asked again, the script says so', async () => {
    const { audit } = shop().workers;
    const { temporal } = shop().stack;
    const id = newId('unheard');
    await audit.stop();
    const waiting = call('transfer', [...transfer, '--id', id, '--json']);
    await until('the money has moved', async () => (await entriesOf(shop(), id)).length === 2);
    await temporal.kill();
    const { code, stdout, stderr } = await waiting;
    await temporal.restart();
    expect(JSON.parse(stderr)).toMatchObject({ id, outcome: 'unknown', error: expect.stringContaining(`--id ${id}`) });
    expect(stdout).toBe('');
    expect(code).toBe(3);

    await audit.start();
    const asked = await call('transfer', [...transfer, '--id', id, '--json']);
    expect(asked.stderr).toBe('');
    expect(json(asked)).toMatchObject({ id, outcome: 'committed' });
    expect(await entriesOf(shop(), id)).toEqual(['north-bank debit -1250', 'south-bank credit 1250']);
    await expectSoundBooks(shop(), before);
  }, 90_000);
});
