/**
 * A process is killed, or the server crashes, at a named point of a transfer between two banks: at every third, and at all in a
 * campaign. Then its coordinator goes on, or there is none any more and the recovery of the participants ends it. Either way both
 * banks do the same, once, and nothing is left prepared.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { keyOf } from 'temporal-txn/participant';
import type { Survey } from 'temporal-txn/participant';
import type { CrashOrder } from 'temporal-txn/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { onCrashpoint } from '../../src/protocol';
import type { CrashpointName, Decision } from '../../src/protocol';
import { some } from '../depth';
import { newId, useBanks } from './fixture';
import type { Asking } from './fixture';

const banks = useBanks();

type Where = 'north' | 'south';

/** What breaks off: the first attempt of a question, at a crash point. */
interface Crash {
  readonly at: CrashpointName;
  readonly where: Where;
  readonly phase: 'prepare' | 'decide' | Decision | 'settle';
  /** How the transfer is decided when its coordinator goes on. */
  readonly decision: Decision;
  /** How recovery decides it. */
  readonly recovered: Decision;
  /** South refuses. */
  readonly refused?: boolean;
}

const CRASHES: readonly Crash[] = [
  { at: 'branch.logged-before-work', where: 'south', phase: 'prepare', decision: 'commit', recovered: 'abort' },
  { at: 'two-phase.before-prepare', where: 'north', phase: 'prepare', decision: 'commit', recovered: 'abort' },
  { at: 'two-phase.before-prepare', where: 'south', phase: 'prepare', decision: 'commit', recovered: 'abort' },
  { at: 'two-phase.prepared-before-vote', where: 'north', phase: 'prepare', decision: 'commit', recovered: 'abort' },
  { at: 'two-phase.prepared-before-vote', where: 'south', phase: 'prepare', decision: 'commit', recovered: 'abort' },
  { at: 'two-phase.voted-before-answer', where: 'south', phase: 'prepare', decision: 'commit', recovered: 'abort' },
  {
    at: 'two-phase.refused-before-vote',
    where: 'south',
    phase: 'prepare',
    decision: 'abort',
    recovered: 'abort',
    refused: true,
  },
  { at: 'two-phase.decided-before-finish', where: 'north', phase: 'decide', decision: 'commit', recovered: 'commit' },
  { at: 'two-phase.decided-before-finish', where: 'north', phase: 'decide', decision: 'abort', recovered: 'abort' },
  { at: 'two-phase.finished-before-report', where: 'north', phase: 'decide', decision: 'commit', recovered: 'commit' },
  { at: 'two-phase.committed-before-ack', where: 'south', phase: 'commit', decision: 'commit', recovered: 'commit' },
  {
    at: 'two-phase.rolled-back-before-tombstone',
    where: 'north',
    phase: 'decide',
    decision: 'abort',
    recovered: 'abort',
  },
  {
    at: 'two-phase.rolled-back-before-tombstone',
    where: 'south',
    phase: 'abort',
    decision: 'abort',
    recovered: 'abort',
  },
  { at: 'two-phase.aborted-before-ack', where: 'south', phase: 'abort', decision: 'abort', recovered: 'abort' },
  { at: 'two-phase.recovered-before-report', where: 'south', phase: 'settle', decision: 'commit', recovered: 'abort' },
];
const NAMED = CRASHES.map((crash) => [`${crash.where} ${crash.phase}, ${crash.at}`, crash] as const);

/** One attempt that does not survive. */
type Break = (where: Where, question: string, request: Asking, at: CrashpointName) => Promise<void>;

const DIST = resolve(__dirname, '../../dist');

const killTheProcess: Break = async (where, question, request, at) => {
  const log = join(tmpdir(), `passed-${at}-${newId()}`);
  const order: CrashOrder = { at, action: { kind: 'kill' } };
  const env = { ...process.env, TXN_CRASHPOINT: JSON.stringify([order]), TXN_CRASHPOINT_LOG: log };
  const program = ['--require', join(DIST, 'src/testing/crashpoints-preload.js'), join(DIST, 'test/prepared/child.js')];
  const asked = JSON.stringify({ token: 'x', votes: 'answer', register: 'north', branches: [], ...request });
  await new Promise<void>((done) => {
    const args = [...program, banks[where].url, where, question, asked];
    const child = execFile(process.execPath, args, { env }, (_, out, err) => {
      expect({ signal: child.signalCode, output: out + err }).toEqual({ signal: 'SIGKILL', output: '' });
      expect(readFileSync(log, 'utf8')).toBe(`${at}\n`);
      done();
    });
  });
};

const crashTheServer: Break = async (where, question, request, at) => {
  let crashed = false;
  onCrashpoint(async (passed) => {
    if (passed !== at || crashed) return;
    crashed = true;
    await banks.server.kill();
  });
  onTestFinished(() => onCrashpoint(undefined));
  await banks[where]
    .ask(question, request)
    .catch((error: unknown) => expect(error).toMatchObject({ nonRetryable: false }));
  onCrashpoint(undefined);
  expect(crashed).toBe(true);
  await banks.server.restart();
};

class Transfer {
  readonly transaction = newId();
  readonly #xids: Partial<Record<Where, string>> = {};

  private constructor(
    private readonly crash: Crash,
    private readonly breakOff: Break,
    private readonly accounts: Readonly<Record<Where, string>>,
  ) {}

  static async of(crash: Crash, breakOff: Break): Promise<Transfer> {
    return new Transfer(crash, breakOff, { north: await banks.north.account(), south: await banks.south.account() });
  }

  /** Goes as far as the crash, and one attempt breaks off there. */
  async untilCrash(): Promise<void> {
    const { phase, where, decision, at } = this.crash;
    for (const one of ['north', 'south'] as const) {
      if (phase === 'prepare' && one === where) return this.breakOff(one, 'debit.prepare', this.#request(one), at);
      await this.#vote(one);
    }
    if (phase === 'settle') {
      const [overdue] = (await this.#watch('south')).overdue;
      await this.#ask('north', 'recovery.decide', { key: keyOf(this.transaction) });
      return this.breakOff('south', 'recovery.settle', { gid: overdue?.gid, decision: this.crash.recovered }, at);
    }
    const propose = { ...this.#request('north'), propose: decision };
    if (phase === 'decide') return this.breakOff('north', 'debit.decide', propose, at);
    await this.#ask('north', 'debit.decide', propose);
    await this.breakOff('south', `debit.${decision}`, this.#request('south'), at);
  }

  /** The coordinator has lived. */
  async goOn(): Promise<void> {
    const { decision, phase, refused } = this.crash;
    for (const one of ['north', 'south'] as const) {
      const vote = await this.#vote(one);
      // After the decision it was reset, and asks in vain.
      if (phase === 'prepare') expect(vote).toBe(refused && one === 'south' ? 'abort' : 'commit');
    }
    // What it proposes now is not what counts, if it had decided.
    const again = phase === 'prepare' ? decision : decision === 'commit' ? 'abort' : 'commit';
    const wantsResult = decision === 'commit' ? { wantsResult: true } : {};
    const asked = { ...this.#request('north'), propose: again, ...wantsResult };
    const result = decision === 'commit' ? { result: { balance: 70 } } : {};
    expect(await this.#ask('north', 'debit.decide', asked)).toMatchObject({
      decision,
      ack: { kind: 'applied', ...result },
    });
    const ack = await this.#ask('south', `debit.${decision}`, { ...this.#request('south'), ...wantsResult });
    expect(ack).toEqual({ kind: 'applied', ...(decision === 'commit' ? { result: { balance: 130 } } : {}) });
  }

  /** It has not. */
  async recover(): Promise<void> {
    for (const one of ['south', 'north'] as const) {
      const { overdue } = await this.#watch(one);
      for (const { gid, key, register, transaction } of overdue) {
        expect(register).toBe('north');
        const known = await this.#ask('north', 'recovery.read', { key });
        const decision =
          known === 'none'
            ? (
                (await this.#ask('north', 'recovery.decide', { key, ...(transaction ? { transaction } : {}) })) as {
                  decision: Decision;
                }
              ).decision
            : known;
        expect(decision).toBe(this.crash.recovered);
        expect(await this.#ask(one, 'recovery.settle', { gid, decision })).toMatchObject({ kind: 'applied' });
      }
    }
  }

  async expectSound(decision: Decision): Promise<void> {
    const [registered] = await banks.north.rows('select outcome from txn.decision where transaction_key = $1', [
      keyOf(this.transaction),
    ]);
    if (registered) expect(registered).toEqual({ outcome: decision });
    const balances = {
      north: await banks.north.balance(this.accounts.north),
      south: await banks.south.balance(this.accounts.south),
    };
    expect(balances).toEqual(decision === 'commit' ? { north: 70, south: 130 } : { north: 100, south: 100 });
    for (const one of ['north', 'south'] as const) {
      expect(await banks[one].prepared()).toEqual([]);
      expect((await this.#watch(one)).overdue).toEqual([]);
      expect(await banks[one].rows('select * from txn.preparation')).toEqual([]);
      const states = await banks[one].rows('select state from txn.branch where transaction_id = $1', [
        this.transaction,
      ]);
      for (const { state } of states) expect(['applied'].includes(String(state))).toBe(decision === 'commit');
      // Whoever comes late can change nothing.
      const late = await this.#ask(one, 'debit.prepare', this.#request(one)).catch(() => undefined);
      if (states.length > 0) expect(late).toMatchObject({ vote: decision });
      await this.#ask(one, `debit.${decision}`, this.#request(one));
      expect(await banks[one].prepared()).toEqual([]);
    }
  }

  #request(one: Where): Asking {
    const amount = one === 'north' ? 30 : this.crash.refused ? 1_000 : -30;
    const xid = this.#xids[one];
    return {
      transaction: this.transaction,
      branch: one,
      input: { account: this.accounts[one], amount },
      ...(xid === undefined ? {} : { xid }),
    };
  }

  async #vote(one: Where): Promise<string> {
    const answer = (await this.#ask(one, 'debit.prepare', this.#request(one))) as { vote: string; xid?: string };
    if (answer.xid !== undefined) this.#xids[one] = answer.xid;
    return answer.vote;
  }

  async #watch(one: Where): Promise<Survey> {
    return (await this.#ask(one, 'recovery.watch', { graceMs: 0, forMs: 0, everyMs: 1, known: [] })) as Survey;
  }

  /** The first attempt may be the one that broke off. */
  #ask(one: Where, question: string, request: Asking): Promise<unknown> {
    return banks[one].insist(question, { ...request, attempt: 2 });
  }
}

/** Every third. */
const sampleOf = <Crash>(crashes: readonly Crash[], what: string): readonly Crash[] =>
  some(crashes, Math.ceil(crashes.length / 3), what);

describe.each([
  ['the process is killed', killTheProcess],
  ['the server crashes', crashTheServer],
] as const)('%s at', (how, breakOff) => {
  const unsettled = NAMED.filter(([, { phase }]) => phase !== 'settle');

  it.each(sampleOf(unsettled, `${how}, and its coordinator goes on`))(
    '%s: its coordinator goes on',
    async (__, crash) => {
      const transfer = await Transfer.of(crash, breakOff);
      await transfer.untilCrash();
      await transfer.goOn();
      await transfer.expectSound(crash.decision);
    },
  );

  it.each(sampleOf(NAMED, `${how}, and recovery ends it`))('%s: recovery ends it', async (__, crash) => {
    const transfer = await Transfer.of(crash, breakOff);
    await transfer.untilCrash();
    await transfer.recover();
    await transfer.expectSound(crash.recovered);
  });
});
