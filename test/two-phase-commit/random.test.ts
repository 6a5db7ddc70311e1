/**
 * Random transactions under random delays, failures, lost answers and cancellations, run by the shipped flow, so that votes,
 * answers and acknowledgements come in every order. The register and the branches are a model that notes every breach; what is
 * expected is A1 to A6 of atomic commitment, and that a transaction whose branches all can and that nobody stops commits.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { depth } from '../depth';
import { seedOf } from '../property/seed';
import { startRealTimeEnvironment } from '../real-server';
import type { RealTimeEnvironment } from '../real-server';
import type { Settled } from './fixture';
import { callLine, down, ModelParticipants, refuses } from './participants';
import type { Line } from './participants';
import type { Plan } from './workflows';

/** Settable, for a long run at night. */
const CASES = Number(process.env['TXN_CASES'] ?? depth({ sample: 50, campaign: 500 }));
const AT_A_TIME = 40;
const PARTICIPANTS = ['north', 'south', 'audit', 'shop'];
const seed = seedOf('random transactions of two-phase commit');

type Trouble = 'down' | 'lost';

/** What becomes of the attempts of one question, before the one that succeeds. */
interface Attempts {
  readonly delayMs: number;
  readonly troubles: readonly Trouble[];
}

interface Conduct {
  readonly vote: 'commit' | 'abort' | 'read-only' | 'contention' | 'silent';
  readonly prepare: Attempts;
  readonly finish: Attempts;
}

interface Case {
  readonly branches: readonly Conduct[];
  readonly votes: 'signal' | 'answer';
  /** Cancelled when so many questions have been asked. */
  readonly cancelAt: number | undefined;
  /** What somebody else has written into the register before. */
  readonly before: 'abort' | undefined;
  /** A vote that the last branch has not cast, sent by somebody who knows its token. */
  readonly forged: 'commit' | 'abort' | undefined;
}

const attempts: fc.Arbitrary<Attempts> = fc.record({
  delayMs: fc.constantFrom(0, 0, 1, 5, 20, 50),
  troubles: fc.oneof(
    { weight: 3, arbitrary: fc.constant<Trouble[]>([]) },
    { weight: 1, arbitrary: fc.array(fc.constantFrom<Trouble>('down', 'lost'), { maxLength: 2 }) },
  ),
});

const conduct: fc.Arbitrary<Conduct> = fc.record({
  vote: fc.oneof(
    { weight: 16, arbitrary: fc.constant('commit' as const) },
    { weight: 3, arbitrary: fc.constant('read-only' as const) },
    { weight: 2, arbitrary: fc.constant('abort' as const) },
    { weight: 1, arbitrary: fc.constant('contention' as const) },
    { weight: 1, arbitrary: fc.constant('silent' as const) },
  ),
  prepare: attempts,
  finish: attempts,
});

const oneIn = <T>(often: number, some: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: often - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: some });

const cases: fc.Arbitrary<Case> = fc.record({
  branches: fc.array(conduct, { minLength: 2, maxLength: 4 }),
  votes: fc.constantFrom('signal' as const, 'answer' as const),
  cancelAt: oneIn(3, fc.integer({ min: 1, max: 10 })),
  before: oneIn(12, fc.constant('abort' as const)),
  forged: oneIn(8, fc.constantFrom('commit' as const, 'abort' as const)),
});

const nameOf = (i: number): string => `${PARTICIPANTS[i]}.work`;

describe('random transactions', () => {
  const participants = new ModelParticipants();
  let env: RealTimeEnvironment;

  beforeAll(async () => {
    const activities = participants.activities();
    env = await startRealTimeEnvironment(
      'two-phase-commit',
      Object.fromEntries(PARTICIPANTS.map((name) => [name, activities])),
    );
  });
  afterAll(() => env?.stop());

  function lineOf({ delayMs, troubles }: Attempts, answer: Line, met: () => Promise<void>): Line {
    let attempt = 0;
    return async (usual, request) => {
      await met();
      await sleep(delayMs);
      const trouble = troubles[attempt++];
      if (trouble === 'down') return callLine(down, usual, request);
      const said = await callLine(answer, usual, request);
      if (trouble === 'lost') return callLine(down, usual, request);
      return said;
    };
  }

  const usualLine: Line = (usual) => usual();

  const ANSWERS: Readonly<Record<Conduct['vote'], Line>> = {
    commit: usualLine,
    abort: refuses(),
    contention: refuses('contention', 'Locked.'),
    'read-only': { vote: 'read-only', result: 'read' },
    // Longer than the vote.
    silent: () => sleep(20_000, undefined, { ref: false }),
  };

  function script(id: string, { branches, cancelAt, before, forged }: Case): void {
    let questions = 0;
    const met = async (): Promise<void> => {
      if (++questions === cancelAt) await env.client.workflow.getHandle(id).cancel();
    };
    if (before !== undefined) participants.register.set(id, { decision: before, by: 'recovery' });
    for (const [i, { vote, prepare, finish }] of branches.entries()) {
      const name = nameOf(i);
      const last = i === branches.length - 1;
      const forging: Line = async (usual, request) => {
        const { token } = participants.request(request.transaction, name);
        const forgery = { transaction: request.transaction, branch: name, token, vote: forged };
        await env.client.workflow.getHandle(id).signal('vote', forgery);
        return callLine(ANSWERS[vote], usual, request);
      };
      participants.say(id, `prepare ${name}`, lineOf(prepare, last && forged ? forging : ANSWERS[vote], met));
      for (const question of ['decide', 'commit', 'abort'])
        participants.say(id, `${question} ${name}`, lineOf(finish, usualLine, met));
    }
  }

  function judge(id: string, { branches, cancelAt, before, forged }: Case, report: Settled): void {
    const final = report.attempts === 1 ? id : `${id}+${report.attempts}`;
    const names = branches.map((_, i) => nameOf(i));
    const effects = names.filter((name) => participants.effects.includes(`${final} ${name}`));
    const writers = names.filter((name) => participants.state(final, name) !== 'read-only');
    const decided = participants.register.get(final)?.decision;
    // A1, A3, A6. Where all have only read there is nothing to decide.
    if (report.outcome === 'aborted') expect(decided).toBe('abort');
    else if (writers.length > 0) expect(decided).toBe('commit');
    expect(effects).toEqual(report.outcome === 'committed' ? writers : []);
    // A4: once. Of attempts that were given up: none.
    const own = participants.effects.filter((effect) => effect.startsWith(`${id} `) || effect.startsWith(`${id}+`));
    expect(own.length).toBe(effects.length);
    // Nothing stays prepared.
    expect(Object.values(participants.states(final))).not.toContain('prepared');
    expect(Object.values(participants.states(id))).not.toContain('prepared');
    const willing = branches.every(({ vote }) => vote === 'commit' || vote === 'read-only' || vote === 'contention');
    if (willing && cancelAt === undefined && before === undefined && forged !== 'abort')
      expect(report.outcome).toBe('committed');
    // Where somebody met contention first, all is tried again, and then every branch can.
    if (report.attempts === 1 && branches.some(({ vote }) => vote === 'abort' || vote === 'silent'))
      expect(report.outcome).toBe('aborted');
  }

  it(`are all or nothing, in ${CASES} cases`, async () => {
    const open = fc.sample(cases, { seed, numRuns: CASES }).map((tried, i) => ({ tried, id: `random-${i}` }));
    const outcomes = { committed: 0, aborted: 0, mixed: 0 };
    const runOne = async ({ tried, id }: { tried: Case; id: string }): Promise<void> => {
      script(id, tried);
      const silent = tried.branches.some(({ vote }) => vote === 'silent');
      const input: Plan = {
        branches: tried.branches.map((_, i) => ({ participant: PARTICIPANTS[i] ?? '', operation: 'work' })),
        options: {
          votes: tried.votes,
          timeouts: { prepare: silent ? '1500 milliseconds' : '60 seconds' },
          attemptTimeout: '1400 milliseconds',
          retry: { initialInterval: '10 milliseconds' },
        },
      };
      const report = await env.transactions.execute<Plan, Settled>('settles', { id, input });
      outcomes[report.outcome]++;
      try {
        judge(id, tried, report);
      } catch (error) {
        const told = JSON.stringify({ ...tried, asked: participants.asked(id), report });
        throw new Error(`${id} of TXN_SEED=${seed}: ${told}`, { cause: error });
      }
    };
    const runner = async (): Promise<void> => {
      for (let next = open.shift(); next !== undefined; next = open.shift()) await runOne(next);
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, runner));
    // A2, and that nobody is told otherwise than the register says.
    expect(participants.breaches).toEqual([]);
    // Both ways must have been taken often, or the cases prove little.
    expect(outcomes.committed).toBeGreaterThan(CASES / 10);
    expect(outcomes.aborted).toBeGreaterThan(CASES / 10);
    expect(outcomes.mixed).toBe(0);
    process.stdout.write(`random transactions: ${JSON.stringify(outcomes)}\n`);
  }, 120_000);
});
