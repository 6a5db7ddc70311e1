/**
 * Random sagas under random faults, run by the real code and compared with what a reader of the plan would expect: either all
 * effects, or none left and exactly those that happened undone once, in reverse.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SettledSagaReport } from '../../src/client';
import { depth, isTurnOf } from '../depth';
import { startRealTimeEnvironment } from '../real-server';
import type { RealTimeEnvironment } from '../real-server';
import { failing, ScriptedWorld } from '../saga-more/scripted';
import type { BranchScript } from '../saga-more/scripted';
import type { SagaPlan, Tree } from './plan';
import { seedOf } from './seed';

/** Settable, for a long run at night. */
const SAGAS = Number(process.env['TXN_CASES'] ?? depth({ sample: 50, campaign: 500 }));
const AT_A_TIME = 100;
const seed = seedOf('random sagas');

type Fault =
  | { readonly kind: 'none' }
  | { readonly kind: 'refuses' }
  | { readonly kind: 'fails-then-works'; readonly times: number }
  /** Applied, but no answer ever comes through. */
  | { readonly kind: 'applied-unheard' }
  /** Never applied, and never an answer. */
  | { readonly kind: 'never-applied' };

interface Behaviour {
  readonly fault: Fault;
  /** How often its compensation fails, and whether it has done its work by then. */
  readonly undoing: { readonly times: number; readonly unheard: boolean };
}

interface Case {
  readonly plan: SagaPlan;
  readonly behaviours: ReadonlyMap<string, Behaviour>;
}

const works: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Fault>({ kind: 'none' }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('fails-then-works' as const), times: fc.integer({ min: 1, max: 3 }) }),
  },
);
const fails = fc.constantFrom<Fault>({ kind: 'refuses' }, { kind: 'applied-unheard' }, { kind: 'never-applied' });
const behaviour: fc.Arbitrary<Behaviour> = fc.record({
  fault: fc.oneof({ weight: 6, arbitrary: works }, { weight: 1, arbitrary: fails }),
  undoing: fc.record({ times: fc.constantFrom(0, 0, 0, 1, 3), unheard: fc.boolean() }),
});
const lasting: fc.Arbitrary<Behaviour> = fc.record({
  fault: works,
  undoing: fc.constant({ times: 0, unheard: false }),
});

/** A tree whose leaves carry behaviours; the ids are given out afterwards. */
type Draft =
  { readonly leaf: Behaviour } | { readonly kind: 'sequence' | 'parallel'; readonly children: readonly Draft[] };

const draft: fc.Arbitrary<Draft> = fc.letrec<{ tree: Draft; leaf: Draft; node: Draft }>((tie) => ({
  tree: fc.oneof({ maxDepth: 3, withCrossShrink: true }, tie('leaf'), tie('node')),
  leaf: behaviour.map((leaf) => ({ leaf })),
  node: fc.record({
    kind: fc.constantFrom('sequence' as const, 'parallel' as const),
    children: fc.array(tie('tree'), { minLength: 1, maxLength: 4 }),
  }),
})).node;

const cases: fc.Arbitrary<Case> = fc
  .record({
    draft,
    pivot: fc.option(behaviour, { nil: undefined }),
    tail: fc.array(lasting, { maxLength: 2 }),
  })
  .map(({ draft, pivot, tail }) => {
    const behaviours = new Map<string, Behaviour>();
    const named = (name: string, of: Behaviour): string => {
      behaviours.set(name, of);
      return name;
    };
    const grow = (part: Draft): Tree =>
      'leaf' in part
        ? { kind: 'step', id: named(`s${behaviours.size}`, part.leaf) }
        : { kind: part.kind, children: part.children.map(grow) };
    const body = grow(draft);
    const plan: SagaPlan =
      pivot === undefined
        ? { body, tail: [] }
        : { body, pivot: named('pivot', pivot), tail: tail.map((of, i) => named(`tail${i}`, of)) };
    return { plan, behaviours };
  });

const worksInTheEnd = ({ fault }: Behaviour): boolean => fault.kind === 'none' || fault.kind === 'fails-then-works';

/** A pivot whose answer is lost is asked what became of it. */
const pivotWorks = (of: Behaviour): boolean => worksInTheEnd(of) || of.fault.kind === 'applied-unheard';

/** What the plan says: whether the saga commits, and of one that does not, what surely ran and what surely did not. */
interface Expectation {
  readonly commits: boolean;
  readonly surelyRan: ReadonlySet<string>;
  readonly surelyNot: ReadonlySet<string>;
  /** Pairs of steps of which the first had ended when the second began. */
  readonly order: readonly (readonly [string, string])[];
}

const stepsOf = (tree: Tree): string[] => (tree.kind === 'step' ? [tree.id] : tree.children.flatMap(stepsOf));

function expectationOf({ plan, behaviours }: Case): Expectation {
  const works = (id: string): boolean => worksInTheEnd(behaviours.get(id) ?? expect.fail(`no behaviour of ${id}`));
  const surelyRan = new Set<string>();
  const surelyNot = new Set<string>();
  const order: (readonly [string, string])[] = [];
  const walk = (tree: Tree): boolean => {
    if (tree.kind === 'step') return works(tree.id);
    if (tree.kind === 'parallel') return tree.children.map(walk).every(Boolean);
    let fine = true;
    for (const [i, child] of tree.children.entries()) {
      if (fine) fine = walk(child);
      else for (const id of stepsOf(child)) surelyNot.add(id);
      for (const earlier of tree.children.slice(0, i).flatMap(stepsOf))
        for (const later of stepsOf(child)) order.push([earlier, later]);
    }
    return fine;
  };
  const bodyWorks = walk(plan.body);
  // Beside a step that fails, others may be stopped before they run: only what comes before all failing ones surely ran.
  const sure = (tree: Tree): boolean => {
    const all = stepsOf(tree);
    if (all.every(works)) {
      for (const id of all) surelyRan.add(id);
      return true;
    }
    if (tree.kind === 'sequence') for (const child of tree.children) if (!sure(child)) break;
    return false;
  };
  sure(plan.body);
  const after = [...(plan.pivot === undefined ? [] : [plan.pivot]), ...plan.tail];
  const decided = plan.pivot === undefined || pivotWorks(behaviours.get(plan.pivot) ?? expect.fail('no pivot'));
  for (const id of bodyWorks ? plan.tail : after) if (!bodyWorks || !decided) surelyNot.add(id);
  return { commits: bodyWorks && decided, surelyRan, surelyNot, order };
}

function scriptOf({ fault, undoing }: Behaviour): BranchScript {
  const compensate: BranchScript['compensate'] = (attempt) =>
    attempt > undoing.times ? 'answer' : undoing.unheard ? 'lose-answer' : 'fail';
  switch (fault.kind) {
    case 'none':
      return { compensate };
    case 'refuses':
      return { execute: () => 'refuse', compensate };
    case 'fails-then-works':
      return { execute: failing(fault.times), compensate };
    case 'applied-unheard':
      return { execute: () => 'lose-answer', compensate };
    case 'never-applied':
      return { execute: () => 'fail', compensate };
  }
}

function judge(world: ScriptedWorld, id: string, tried: Case, report: SettledSagaReport<string>): void {
  const { commits, surelyRan, surelyNot, order } = expectationOf(tried);
  const story = world.story(id);
  const times = (line: string): number => story.filter((other) => other === line).length;
  const all = [...tried.behaviours.keys()];

  expect(report.outcome).toBe(commits ? 'committed' : 'compensated');
  expect(new Set(world.inEffect(id))).toEqual(new Set(commits ? all : []));
  for (const step of all) {
    const applied = times(`+${step}`);
    expect(applied, `${step} took effect`).toBeLessThanOrEqual(1);
    expect(times(`-${step}`), `${step} was undone`).toBe(commits ? 0 : applied);
    if (commits || surelyRan.has(step)) expect(applied, `${step} took effect`).toBe(1);
    if (surelyNot.has(step)) expect(world.requests.has(`${id} ${step}`), `${step} was begun`).toBe(false);
  }
  for (const [earlier, later] of order) {
    const [first, second] = [story.indexOf(`-${later}`), story.indexOf(`-${earlier}`)];
    if (first >= 0 && second >= 0) expect(first, `${later} was undone before ${earlier}`).toBeLessThan(second);
  }
  for (const { branch, compensation } of report.steps) {
    const undone = times(`-${branch}`) === 1;
    // A compensation whose answer was lost cannot tell any more whether it found something to undo.
    const unheard = (tried.behaviours.get(branch)?.undoing.times ?? 0) > 0;
    if (undone) expect(compensation, branch).toEqual({ kind: 'compensated' });
    else if (commits || !unheard) expect(['not-needed', 'nothing-to-compensate'], branch).toContain(compensation.kind);
  }
}

describe.skipIf(!isTurnOf('random sagas', 'to their end'))('random sagas', () => {
  const world = new ScriptedWorld();
  let env: RealTimeEnvironment;

  beforeAll(async () => {
    env = await startRealTimeEnvironment('property', { svc: world.participant(['work']) });
  });
  afterAll(() => env?.stop());

  it(`end with all effects or with none, in ${SAGAS} cases`, async () => {
    const open = fc.sample(cases, { seed, numRuns: SAGAS }).map((tried, i) => ({ tried, id: `random-${i}` }));
    const outcomes = { committed: 0, compensated: 0, mixed: 0 };
    const runOne = async ({ tried, id }: { tried: Case; id: string }): Promise<void> => {
      for (const [step, of] of tried.behaviours) world.script(id, step, scriptOf(of));
      const report = await env.transactions.execute<SagaPlan, SettledSagaReport<string>>('anySaga', {
        id,
        input: tried.plan,
      });
      outcomes[report.outcome]++;
      try {
        judge(world, id, tried, report);
      } catch (error) {
        const told = JSON.stringify({
          ...tried.plan,
          behaviours: [...tried.behaviours],
          story: world.story(id),
          report,
        });
        throw new Error(`${id} of TXN_SEED=${seed}: ${told}`, { cause: error });
      }
    };
    const runner = async (): Promise<void> => {
      for (let next = open.shift(); next !== undefined; next = open.shift()) await runOne(next);
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, runner));
    // Both ways must have been taken often, or the cases prove little.
    expect(outcomes.committed).toBeGreaterThan(SAGAS / 10);
    expect(outcomes.compensated).toBeGreaterThan(SAGAS / 10);
  }, 240_000);
});
