/**
 * Participants that die, hang, are slow, and come back, under time skipping: who falls silent is asked three times how it is, and
 * then either asked again, once, or given up.
 */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BranchRequest, ParticipantHealth, SettledCommitReport, SettledSagaReport } from '../../src/protocol';
import { TransactionTestEnvironment } from '../../src/testing';
import { bundleWorkflows } from '../bundle';
import { step } from '../saga/fixture'; // which also makes the runtime quiet
import type { Script } from '../saga/workflows';
import { surviveStandingClock } from '../standing-clock';
import { compiledWorkflows } from '../saga-more/environment';
import type { Plan } from '../two-phase-commit/workflows';

const HEALTHY: ParticipantHealth = { status: 'healthy', slots: { used: 1, limit: 10 } };
const FULL: ParticipantHealth = { status: 'healthy', slots: { used: 10, limit: 10 } };
const SICK: ParticipantHealth = { status: 'unhealthy', reason: 'PostgreSQL reported SQLSTATE 57P03.' };

const hang = (): Promise<never> => Context.current().cancelled;
const broken = async (): Promise<never> => {
  throw ApplicationFailure.create({ message: 'connection refused', nonRetryable: false });
};

/** Until it was asked how it is: `work once asked` fails, and its time is up at once; `hang until asked` says nothing at all. */
type Line = 'work' | 'work once asked' | 'hang until asked' | typeof hang;

/** What a transaction met at the bank: each question with its answers, the last one for ever. */
interface Fate {
  readonly work?: readonly Line[];
  readonly health?: readonly (ParticipantHealth | typeof hang | typeof broken)[];
}

/** Soon over: for who never answers. While an activity is under way the clock is the real one. */
const SHORT = { timeout: '600 milliseconds', attemptTimeout: '400 milliseconds' } as const;
/** For who answers in the end: there is time for that on a busy machine too. */
const LONG = { timeout: '30 seconds', attemptTimeout: '10 seconds' } as const;
/** For who says nothing, which takes all of it, and then answers. */
const BETWEEN = { timeout: '3 seconds', attemptTimeout: '2900 milliseconds' } as const;
type Limits = typeof SHORT | typeof BETWEEN | typeof LONG;

class Bank {
  readonly #fates = new Map<string, Fate>();
  readonly #asked = new Map<string, number>();
  /** In the order in which they came. The health check names no transaction: its tests come one after the other. */
  readonly log: string[] = [];
  #current = '';

  begin(transaction: string, fate: Fate): void {
    this.#current = transaction;
    this.#fates.set(transaction, fate);
    this.log.length = 0;
  }

  readonly activities = {
    'participant.health': () =>
      this.#next('health', async (line: ParticipantHealth | typeof hang) =>
        typeof line === 'function' ? line() : line,
      ),
    debit: (request: BranchRequest) => this.#work(request, { answer: 'applied', result: 'debited' }),
    'debit.prepare': (request: BranchRequest) => this.#work(request, { vote: 'commit', result: 'debited' }),
    'debit.compensate': () => this.#done('compensate', { answer: 'compensated' }),
    'debit.query': () => this.#done('query', { answer: 'never-applied' }),
    'debit.decide': ({ propose }: { readonly propose: string }) =>
      this.#done(`decide ${propose}`, { decision: propose, by: 'coordinator', ack: { kind: 'applied' } }),
    'debit.commit': () => this.#done('commit', { kind: 'applied' }),
    'debit.abort': () => this.#done('abort', { kind: 'applied' }),
    releaseLocks: async () => undefined,
  };

  #work(_request: BranchRequest, answer: object): Promise<unknown> {
    return this.#next('work', async (line: Line) => {
      if (typeof line === 'function') return line();
      if (line === 'work' || this.log.includes('health')) return answer;
      if (line === 'hang until asked') return hang();
      // The next attempt would come after the end, so nothing waits for that.
      throw ApplicationFailure.create({ message: 'connection refused', nextRetryDelay: '1 minute' });
    });
  }

  async #done(question: string, answer: object): Promise<unknown> {
    this.log.push(question);
    return answer;
  }

  #next<L>(question: 'work' | 'health', answer: (line: L) => Promise<unknown>): Promise<unknown> {
    const key = `${this.#current} ${question}`;
    const count = this.#asked.get(key) ?? 0;
    this.#asked.set(key, count + 1);
    this.log.push(question);
    // Cast: each question has lines of its own kind.
    const lines = (this.#fates.get(this.#current)?.[question] ?? []) as readonly L[];
    const line = lines[Math.min(count, lines.length - 1)];
    if (line === undefined) throw new Error(`Nobody said what to answer to ${key}.`);
    return answer(line);
  }
}

const bank = new Bank();
const other = new Bank();
let environment: TransactionTestEnvironment;
let told = 0;

const start = async (): Promise<void> => {
  environment = await TransactionTestEnvironment.start({
    workflows: await bundleWorkflows(compiledWorkflows('resilience')),
    participants: { bank: bank.activities, other: other.activities },
  });
};
const stop = (): Promise<void> => environment.stop();
beforeAll(start);
afterAll(stop);
surviveStandingClock({ start, stop });

async function run<Report>(workflow: string, input: unknown, fate: Fate): Promise<Report> {
  const id = `probe-${++told}`;
  bank.begin(id, fate);
  other.begin(id, { work: ['work'], health: [HEALTHY] });
  return environment.transactions.execute<unknown, Report>(workflow, { id, input });
}

const saga = (fate: Fate, limits: Limits): Promise<SettledSagaReport<unknown>> =>
  run('settled', { moves: [step('other.debit'), step('bank.debit', limits)], options: {} } satisfies Script, fate);

const twoPhases = (fate: Fate, limits: Limits): Promise<SettledCommitReport<'two-phase-commit'>> => {
  const branches = [
    { participant: 'other', operation: 'debit' },
    { participant: 'bank', operation: 'debit' },
  ];
  const options = {
    timeouts: { prepare: limits.timeout },
    attemptTimeout: limits.attemptTimeout,
    votes: 'answer',
  } as const;
  return run('settles', { branches, options } satisfies Plan, fate);
};

const countOf = (question: string): number => bank.log.filter((line) => line === question).length;

describe.each([
  { protocol: 'a saga', begin: saga, failed: 'compensated' },
  { protocol: 'two-phase commit', begin: twoPhases, failed: 'aborted' },
])('in $protocol, a participant that did not answer in time', ({ begin, failed }) => {
  it('is asked again when it is healthy again, and the transaction goes on', async () => {
    const report = await begin({ work: ['hang until asked'], health: [HEALTHY] }, BETWEEN);
    expect(report.outcome).toBe('committed');
    expect(countOf('health')).toBe(1);
  });

  it('has three questions to come back in', async () => {
    const report = await begin({ work: ['work once asked'], health: [SICK, broken, HEALTHY] }, LONG);
    expect(report.outcome).toBe('committed');
    expect(countOf('health')).toBe(3);
  });

  it('is given up when it is sick three times', async () => {
    const report = await begin({ work: [hang], health: [SICK] }, SHORT);
    expect(report.outcome).toBe(failed);
    expect(countOf('health')).toBe(3);
  });

  it('is given up when it does not answer at all', async () => {
    const report = await begin({ work: [hang], health: [hang] }, SHORT);
    expect(report.outcome).toBe(failed);
    expect(countOf('health')).toBe(3);
  });

  it('is asked again once only, however healthy it says that it is', async () => {
    const report = await begin({ work: [hang], health: [HEALTHY] }, SHORT);
    expect(report.outcome).toBe(failed);
    expect(countOf('health')).toBe(1);
  });

  it('and one that failed until its time was up is asked how it is, too', async () => {
    const report = await begin({ work: [broken, broken, broken, broken, broken, broken], health: [SICK] }, SHORT);
    expect(report.outcome).toBe(failed);
    expect(countOf('health')).toBe(3);
  });

  it('is not asked how it is when it is merely slow', async () => {
    const slow = async (): Promise<never> => {
      await Context.current().sleep(200);
      throw ApplicationFailure.create({ message: 'almost', nonRetryable: false });
    };
    const report = await begin({ work: [slow, 'work'], health: [SICK] }, LONG);
    expect(report.outcome).toBe('committed');
    expect(countOf('health')).toBe(0);
  });
});

it('in two-phase commit a participant whose server has no room to prepare is not healthy; in a saga it is', async () => {
  const lines = { work: ['work once asked'], health: [FULL] } as const;
  expect((await twoPhases(lines, LONG)).outcome).toBe('aborted');
  expect((await saga(lines, LONG)).outcome).toBe('committed');
});

it('the pauses between the questions are one second, then two', async () => {
  const id = `probe-${told + 1}`;
  await saga({ work: [hang], health: [SICK] }, SHORT);
  const { events } = await environment.temporal.client.workflow.getHandle(id).fetchHistory();
  const timers = (events ?? []).flatMap(({ timerStartedEventAttributes: timer }) =>
    timer ? Number(timer.startToFireTimeout?.seconds) : [],
  );
  expect(timers).toEqual([1, 2]);
});
