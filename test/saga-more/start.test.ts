/** One id is one business operation, however often and by however many it is started. */
import { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  InvalidIdentifier,
  TransactionClient,
  TransactionCompensated,
  TransactionInputMismatch,
  TransactionInterrupted,
  TransactionNotFound,
  TransactionNotInterrupted,
} from '../../src/client';
import { parseBranchId, parseOperationName, parseParticipantName, parseTransactionId } from '../../src/protocol';
import type { TransactionTestEnvironment } from '../../src/testing';
import { startEnvironment } from './environment';
import { Notes } from './notes';
import { gate, ScriptedWorld } from './scripted';

const world = new ScriptedWorld();
let env: TransactionTestEnvironment;
let transactions: TransactionClient;

beforeAll(async () => {
  env = await startEnvironment('saga-more', {
    svc: world.participant(['first', 'second', 'third']),
    notes: new Notes().activities,
  });
  // A client that leaves the clock alone: nothing here waits for a timer, and a gate must not become a timeout.
  transactions = new TransactionClient({ client: new Client({ connection: env.temporal.connection }) });
});
afterAll(() => env?.stop());

const BOTH = ['+svc.first', '+svc.second'];
const answerOf = (id: string, input: string): string => `${input}: ${id}:svc.first, ${id}:svc.second`;

const errorOf = (running: Promise<unknown>): Promise<unknown> =>
  running.then(
    (value) => expect.fail(`It succeeded with ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );

describe('the same id and input once more', () => {
  it('joins a transaction that is running', async () => {
    const { script, entered, release } = gate();
    world.script('join', 'svc.first', { execute: script });
    const first = transactions.execute('twoSteps', { id: 'join', input: 'a' });
    await entered;
    const second = transactions.execute('twoSteps', { id: 'join', input: 'a' });
    release();
    expect(await Promise.all([first, second])).toEqual([answerOf('join', 'a'), answerOf('join', 'a')]);
    expect(world.attempts('join', 'svc.first')).toBe(1);
  });

  it('gives the result of one that has ended, and changes nothing', async () => {
    const once = await transactions.execute('twoSteps', { id: 'again', input: 'a' });
    expect(await transactions.execute('twoSteps', { id: 'again', input: 'a' })).toBe(once);
    expect([world.story('again'), world.attempts('again', 'svc.first')]).toEqual([BOTH, 1]);
  });

  it('fails as the first time when that one was undone', async () => {
    world.script('undone', 'svc.second', { execute: () => 'refuse' });
    const once = await errorOf(transactions.execute('twoSteps', { id: 'undone', input: 'a' }));
    const twice = await errorOf(transactions.execute('twoSteps', { id: 'undone', input: 'a' }));
    expect(once).toBeInstanceOf(TransactionCompensated);
    expect(twice).toBeInstanceOf(TransactionCompensated);
    expect((twice as TransactionCompensated).report).toMatchObject({ id: 'undone', outcome: 'compensated' });
    expect((twice as TransactionCompensated).report).toEqual((once as TransactionCompensated).report);
    expect(world.story('undone')).toEqual(['+svc.first', '-svc.first']);
  });

  it('takes an input for the same whatever the order of its keys', async () => {
    const once = await transactions.execute('twoSteps', { id: 'keys', input: { a: 1, b: { c: 2, d: 3 } } });
    expect(await transactions.execute('twoSteps', { id: 'keys', input: { b: { d: 3, c: 2 }, a: 1 } })).toBe(once);
  });

  it('starts one workflow for twenty callers at a time, with one answer for all', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => transactions.execute('twoSteps', { id: 'crowd', input: 'a' })),
    );
    expect(new Set(answers)).toEqual(new Set([answerOf('crowd', 'a')]));
    expect([world.story('crowd'), world.attempts('crowd', 'svc.first')]).toEqual([BOTH, 1]);
  });

  it('lets one of two inputs win when they come at the same time', async () => {
    const answers = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => transactions.execute('twoSteps', { id: 'race', input: `input-${i % 2}` })),
    );
    const won = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const lost = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
    expect([won.length, new Set(won).size, lost.length]).toEqual([10, 1, 10]);
    for (const error of lost) expect(error).toBeInstanceOf(TransactionInputMismatch);
    expect(world.story('race')).toEqual(BOTH);
  });
});

describe('an id that is taken', () => {
  it('is refused with another input, while the transaction runs and after it', async () => {
    const { script, entered, release } = gate();
    world.script('taken', 'svc.first', { execute: script });
    const first = transactions.execute('twoSteps', { id: 'taken', input: 'a' });
    await entered;
    const other = () => transactions.start('twoSteps', { id: 'taken', input: 'b' });
    expect(await errorOf(other())).toBeInstanceOf(TransactionInputMismatch);
    release();
    expect(await first).toBe(answerOf('taken', 'a'));
    const error = await errorOf(other());
    expect(error).toBeInstanceOf(TransactionInputMismatch);
    expect((error as Error).message).toMatch(/transaction taken exists with another input/);
    expect(world.story('taken')).toEqual(BOTH);
  });

  it('is refused for another workflow type', async () => {
    await transactions.execute('twoSteps', { id: 'typed', input: 'a' });
    const error = await errorOf(transactions.execute('otherTwoSteps', { id: 'typed', input: 'a' }));
    expect(error).toBeInstanceOf(TransactionInputMismatch);
    expect((error as Error).message).toMatch(/another workflow type/);
  });
});

describe('a transaction whose workflow was terminated', () => {
  const terminate = (id: string) => env.temporal.client.workflow.getHandle(id).terminate('test');

  it('is interrupted, and goes on where it was: every effect once', async () => {
    const { script, entered, release } = gate();
    world.script('cut', 'svc.second', { execute: script });
    const handle = await transactions.start('twoSteps', { id: 'cut', input: 'a' });
    await entered;
    await terminate('cut');
    expect(await errorOf(handle.result())).toBeInstanceOf(TransactionInterrupted);
    expect(world.inEffect('cut')).toEqual(['svc.first']);
    release(); // The orphaned attempt may commit before, during or after the resumed one.

    const resumed = await transactions.resume('twoSteps', { id: 'cut', input: 'a' });
    expect(await resumed.result()).toBe(answerOf('cut', 'a'));
    expect(world.story('cut')).toEqual(BOTH);
  });

  it('is not started anew by a second start, which nobody asked to resume', async () => {
    const { script, entered, release } = gate();
    world.script('cut-start', 'svc.second', { execute: script });
    await transactions.start('twoSteps', { id: 'cut-start', input: 'a' });
    await entered;
    await terminate('cut-start');
    const error = await errorOf(transactions.execute('twoSteps', { id: 'cut-start', input: 'a' }));
    release();
    expect(error).toBeInstanceOf(TransactionInterrupted);
    expect(world.attempts('cut-start', 'svc.first')).toBe(1);
  });

  it('is undone to the end when it was being undone', async () => {
    const { script, entered, release } = gate();
    world.script('cut-back', 'svc.second', { execute: () => 'refuse' });
    world.script('cut-back', 'svc.first', { compensate: script });
    const handle = await transactions.start('twoSteps', { id: 'cut-back', input: 'a' });
    await entered;
    await terminate('cut-back');
    expect(await errorOf(handle.result())).toBeInstanceOf(TransactionInterrupted);
    release();
    const resumed = await transactions.resume('twoSteps', { id: 'cut-back', input: 'a' });
    expect(await errorOf(resumed.result())).toBeInstanceOf(TransactionCompensated);
    expect(world.story('cut-back')).toEqual(['+svc.first', '-svc.first']);
  });

  it('is not resumed with another input', async () => {
    const { script, entered, release } = gate();
    world.script('cut-other', 'svc.second', { execute: script });
    await transactions.start('twoSteps', { id: 'cut-other', input: 'a' });
    await entered;
    await terminate('cut-other');
    const error = await errorOf(transactions.resume('twoSteps', { id: 'cut-other', input: 'b' }));
    release();
    expect(error).toBeInstanceOf(TransactionInputMismatch);
  });
});

describe('resuming', () => {
  it('is refused while the transaction runs', async () => {
    const { script, entered, release } = gate();
    world.script('busy', 'svc.first', { execute: script });
    const running = transactions.execute('twoSteps', { id: 'busy', input: 'a' });
    await entered;
    const error = await errorOf(transactions.resume('twoSteps', { id: 'busy', input: 'a' }));
    release();
    expect(error).toBeInstanceOf(TransactionNotInterrupted);
    expect(error).toMatchObject({ id: 'busy', status: 'RUNNING' });
    await running;
  });

  it.each([
    ['has committed', 'committed', 'COMPLETED'],
    ['was undone', 'compensated', 'FAILED'],
  ])('is refused when it %s', async (_, id, status) => {
    if (id === 'compensated') world.script(id, 'svc.first', { execute: () => 'refuse' });
    await transactions.execute('twoSteps', { id, input: 'a' }).catch(() => undefined);
    const error = await errorOf(transactions.resume('twoSteps', { id, input: 'a' }));
    expect(error).toBeInstanceOf(TransactionNotInterrupted);
    expect(error).toMatchObject({ id, status });
  });

  it('is refused when there is no such transaction', async () => {
    const error = await errorOf(transactions.resume('twoSteps', { id: 'nobody', input: 'a' }));
    expect(error).toBeInstanceOf(TransactionNotFound);
    expect(world.requests.has('nobody svc.first')).toBe(false);
  });
});

describe('an id that nobody started', () => {
  it.each(['result', 'reports', 'status', 'cancel'] as const)('is not found by %s', async (method) => {
    const error = await errorOf(transactions.handle('nobody')[method]());
    expect(error).toBeInstanceOf(TransactionNotFound);
    expect(error).toMatchObject({ id: 'nobody' });
  });

  it('is not found by a ruling', async () => {
    const ruling = { step: 'svc.first', reason: 'test', by: 'kim' };
    expect(await errorOf(transactions.handle('nobody').retryStep(ruling))).toBeInstanceOf(TransactionNotFound);
  });
});

const BAD: readonly (readonly [string, unknown])[] = [
  ['an empty text', ''],
  ['256 characters', 'x'.repeat(256)],
  ['a NUL', 'a\0b'],
  ['a newline', 'a\nb'],
  ['a newline at the end', 'a\n'],
  ['a single quote', "a'b"],
  ['a double quote', 'a"b'],
  ['a backslash', 'a\\b'],
  ['a dollar quote', 'a$$b'],
  ['a right-to-left override', 'a\u202eb'],
  ['a lone surrogate', 'a\ud800b'],
  ['an emoji', 'a😀'],
  ['__proto__', '__proto__'],
  ['a way up', '../x'],
  ['a number', 7],
  ['nothing', undefined],
];

it.each(['x'.repeat(251), 'transfer+2'])('an id that a further attempt could have is not started: %s', async (id) => {
  await expect(transactions.start('twoSteps', { id, input: 'a' })).rejects.toBeInstanceOf(InvalidIdentifier);
});

describe.each(BAD)('an id that is %s', (_, bad) => {
  const id = bad as string; // Cast: callers in JavaScript can pass anything.

  it('is refused before the server hears of it', async () => {
    const asked: (string | symbol)[] = [];
    const silent = new Proxy({} as Client, {
      get: (_target, property) => {
        asked.push(property);
        throw new Error('The server was asked.');
      },
    });
    const client = new TransactionClient({ client: silent });
    const attempts = [
      client.start('twoSteps', { id, input: 'a' }),
      client.execute('twoSteps', { id, input: 'a' }),
      client.resume('twoSteps', { id, input: 'a' }),
      Promise.resolve().then(() => client.handle(id)),
    ];
    for (const attempt of attempts) {
      const error = await errorOf(attempt);
      expect(error).toBeInstanceOf(InvalidIdentifier);
      expect(error).toMatchObject({ field: 'transaction id', value: bad });
      expect((error as Error).message).toMatch(
        /^Nothing was changed: the transaction id [\x20-\x7e…]* is not allowed\. Use /,
      );
    }
    expect(asked).toEqual([]);
  });

  it.each([
    ['transaction id', parseTransactionId],
    ['branch id', parseBranchId],
    ['participant name', parseParticipantName],
    ['operation name', parseOperationName],
  ] as const)('is no %s either', (field, parse) => {
    expect(() => parse(bad)).toThrow(expect.objectContaining({ name: 'InvalidIdentifier', field }));
  });
});
