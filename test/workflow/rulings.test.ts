/** What a person rules, and what is true of the transaction after it. */
import { describe, expect, it } from 'vitest';
import { RulingRefused } from '../../src/client';
import { fates, pivot, retriable, step, tolerate } from '../saga/fixture';
import type { Begun } from './fixture';
import { puppetFixture } from './fixture';
import { broken, lost, refusal } from './puppets';
import type { Line } from './puppets';

const fixture = puppetFixture();
const RULING = { step: 'bank.debit', reason: 'called the bank', by: 'ann' };

async function held(begun: Promise<Begun>): Promise<Begun> {
  const found = await begun;
  await expect.poll(() => found.outcome(), { timeout: 5_000 }).toBe('held');
  return found;
}

/** An attempt that ends when the test says so. */
function later(): { line: () => Promise<{ answer: 'compensated' }>; entered: Promise<void>; end: () => void } {
  let enter = (): void => undefined;
  let end = (): void => undefined;
  const entered = new Promise<void>((resolve) => (enter = resolve));
  const ended = new Promise<void>((resolve) => (end = resolve));
  const line = async () => {
    enter();
    await ended;
    return { answer: 'compensated' as const };
  };
  return { line, entered, end: () => end() };
}

const unwinding = (undoing: Line | readonly Line[]) =>
  fixture.begin({
    moves: [step('shop.reserve'), step('bank.debit'), step('mail.send')],
    answers: { 'mail.send': refusal, 'undo bank.debit': undoing },
  });

describe('a step that a person has settled', () => {
  it('needs nobody any more while the saga goes on', async () => {
    const begun = await held(fixture.begin({ workflow: 'worksOn', answers: { 'bank.debit': lost } }));
    expect(await begun.attributes()).toMatchObject({ TxnStatus: 'held', TxnNeedsAttention: true });
    await begun.handle.resolve({ ...RULING, result: 'by hand' });
    await expect.poll(() => begun.outcome()).toBe('running');
    const { TxnStatus, TxnNeedsAttention, TxnFailedStep } = await begun.attributes();
    expect({ TxnStatus, TxnNeedsAttention, TxnFailedStep }).toEqual({ TxnNeedsAttention: false });
    expect(await begun.report()).toMatchObject({ outcome: 'committed', result: 'by hand' });
    expect(await begun.attributes()).toEqual({
      TxnStatus: 'committed',
      TxnProtocol: 'saga',
      TxnParticipants: ['bank'],
      TxnNeedsAttention: false,
    });
  });

  it.each([
    ['resolve', 'committed'],
    ['skipStep', 'mixed'],
  ] as const)('by %s may have left locks, which are released', async (rule, outcome) => {
    const begun = await held(
      fixture.begin({
        moves: [pivot('shop.reserve'), tolerate(retriable('bank.debit')), retriable('mail.send')],
        answers: { 'bank.debit': lost },
      }),
    );
    await begun.handle[rule](RULING);
    expect((await begun.report()).outcome).toBe(outcome);
    expect(begun.asked()).toContain('release bank');
    expect(begun.asked()).not.toContain('release mail');
  });

  it('by giving its compensation up on the way to a commit may have left locks too', async () => {
    const begun = await held(
      fixture.begin({
        moves: [tolerate(step('bank.debit')), step('mail.send')],
        answers: { 'bank.debit': lost, 'undo bank.debit': broken },
      }),
    );
    await begun.handle.skipStep(RULING);
    await begun.report();
    expect(begun.asked()).toEqual(['bank.debit', 'mail.send', 'undo bank.debit', 'release bank']);
  });
});

describe('a step that was done, and of which its participant knows nothing when it is to be undone', () => {
  const unknown = { answer: 'nothing-to-compensate' } as const;

  it('is held, as it stands somewhere, and undone once its participant finds it', async () => {
    const begun = await held(unwinding([unknown, { answer: 'compensated' }]));
    const [report] = await begun.handle.reports<'saga'>();
    expect(report?.steps[1]?.compensation).toMatchObject({
      kind: 'held',
      cause: expect.stringMatching(/^Nothing was undone: bank has told that bank\.debit was done/),
    });
    expect(begun.asked()).not.toContain('undo shop.reserve');
    await begun.handle.retryStep(RULING);
    expect(await begun.report()).toMatchObject({ outcome: 'compensated' });
    expect(begun.asked().slice(-2)).toEqual(['undo bank.debit', 'undo shop.reserve']);
  });

  it('stays where a person gives it up, and the saga says so', async () => {
    const begun = await held(unwinding(unknown));
    await begun.handle.skipStep(RULING);
    expect(await begun.report()).toMatchObject({ outcome: 'mixed' });
  });
});

describe('a pivot that nobody can be asked about', () => {
  const signs = () => held(fixture.begin({ workflow: 'signs' }));
  const ruling = { ...RULING, step: 'sign' };

  it('is held, and goes the way that the person knows: done', async () => {
    const begun = await signs();
    await begun.handle.resolve({ ...ruling, result: 'signed' });
    expect(await begun.report()).toMatchObject({ outcome: 'committed', result: 'signed' });
    expect(begun.asked()).toEqual(['shop.reserve']);
  });

  it('is held, and goes the way that the person knows: not done', async () => {
    const begun = await signs();
    await begun.handle.resolve({ ...ruling, as: 'not-done' });
    const report = await begun.report();
    expect(report.outcome).toBe('compensated');
    expect(fates(report)).toEqual(['shop.reserve: done, compensated', 'sign: resolved, not-needed']);
  });
});

describe('a pivot of unknown outcome that a person gives up', () => {
  it('undoes the others, and does not claim that everything was undone: nobody knows', async () => {
    const begun = await held(
      fixture.begin({
        moves: [step('shop.reserve'), pivot('bank.debit')],
        answers: { 'bank.debit': lost, 'ask bank.debit': broken },
      }),
    );
    await begun.handle.skipStep(RULING);
    const report = await begun.report();
    expect(fates(report)).toEqual(['shop.reserve: done, compensated', 'bank.debit: skipped, not-needed']);
    expect(report.outcome).toBe('mixed');
  });
});

describe('a ruling that comes while the compensation is being tried', () => {
  it('loses nothing when that attempt succeeds: what happened counts, not what was ruled', async () => {
    const { line, entered, end } = later();
    const begun = await held(unwinding([broken, line]));
    await begun.handle.retryStep(RULING);
    await entered;
    await begun.handle.skipStep(RULING);
    end();
    const report = await begun.report();
    expect(report.outcome).toBe('compensated');
    expect(fates(report)[1]).toBe('bank.debit: done, compensated');
  });

  it('is carried out when the attempt fails', async () => {
    const { line, entered, end } = later();
    const begun = await held(unwinding([broken, () => line().then(() => Promise.reject(broken)), broken]));
    await begun.handle.retryStep(RULING);
    await entered;
    await begun.handle.skipStep(RULING);
    end();
    expect((await begun.report()).outcome).toBe('mixed');
    expect(begun.asked().filter((question) => question === 'undo bank.debit')).toHaveLength(2);
  });

  it('is one at a time: the next one hears that somebody has ruled', async () => {
    const { line, entered, end } = later();
    const begun = await held(unwinding([broken, line]));
    await begun.handle.retryStep(RULING);
    await entered;
    await begun.handle.skipStep(RULING);
    const error: unknown = await begun.handle.resolve(RULING).catch((thrown: unknown) => thrown);
    end();
    expect(error).toBeInstanceOf(RulingRefused);
    expect((error as Error).message).toBe(
      'Nothing was changed: somebody has ruled on "bank.debit" already, and that is being carried out.',
    );
    await begun.report();
  });

  it('of two at the same moment only one is taken', async () => {
    const begun = await held(unwinding(broken));
    const answers = await Promise.allSettled([begun.handle.skipStep(RULING), begun.handle.resolve(RULING)]);
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const ruled = answers[0]?.status === 'fulfilled' ? 'skipped' : 'resolved';
    expect(fates(await begun.report())[1]).toBe(`bank.debit: done, ${ruled}`);
  });
});
