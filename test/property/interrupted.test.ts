/**
 * Random sagas that are cancelled at a random place: every effect or none, exactly those that happened undone once and in
 * reverse, and a cancellation at or after the pivot comes too late.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SettledSagaReport } from '../../src/client';
import { depth, isTurnOf } from '../depth';
import { startRealTimeEnvironment } from '../real-server';
import type { RealTimeEnvironment } from '../real-server';
import { WatchedWorld } from '../workflow/watched';
import type { SagaPlan, Tree } from './plan';
import { seedOf } from './seed';

const SAGAS = depth({ sample: 50, campaign: 500 });
const AT_A_TIME = 24;
const seed = seedOf('interrupted sagas');

interface Case {
  readonly plan: SagaPlan;
  readonly steps: readonly string[];
  readonly refused: string | undefined;
  readonly cancelledAt: { readonly step: string; readonly place: 'before' | 'after' | 'before undo' | 'after undo' };
}

/** The shape of a tree; the ids are given out afterwards. */
type Shape = 'step' | { readonly kind: 'sequence' | 'parallel'; readonly children: readonly Shape[] };

const shape: fc.Arbitrary<Shape> = fc.letrec<{ tree: Shape; node: Shape }>((tie) => ({
  tree: fc.oneof({ maxDepth: 2, withCrossShrink: true }, fc.constant<Shape>('step'), tie('node')),
  node: fc.record({
    kind: fc.constantFrom('sequence' as const, 'parallel' as const),
    children: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }),
  }),
})).node;

const cases: fc.Arbitrary<Case> = fc
  .record({
    shape,
    pivot: fc.boolean(),
    refused: fc.option(fc.nat(), { freq: 3, nil: undefined }),
    at: fc.nat(),
    place: fc.constantFrom('before' as const, 'after' as const, 'before undo' as const, 'after undo' as const),
  })
  .map(({ shape, pivot, refused, at, place }) => {
    const body: string[] = [];
    const grow = (part: Shape): Tree =>
      part === 'step'
        ? { kind: 'step', id: `s${body.push('step')}` }
        : { kind: part.kind, children: part.children.map(grow) };
    const tree = grow(shape);
    const inBody = body.map((_, i) => `s${i + 1}`);
    const steps = pivot ? [...inBody, 'pivot', 'tail'] : inBody;
    const pick = (among: readonly string[], n: number): string => among[n % among.length] ?? expect.fail('no step');
    return {
      plan: { body: tree, ...(pivot ? { pivot: 'pivot' } : {}), tail: pivot ? ['tail'] : [] },
      steps,
      refused: refused === undefined ? undefined : pick(inBody, refused),
      cancelledAt: { step: pick(steps, at), place },
    };
  });

/** Pairs of steps of which the first had ended when the second began. */
function orderOf(tree: Tree): (readonly [string, string])[] {
  if (tree.kind === 'step') return [];
  const inside = tree.children.flatMap(orderOf);
  if (tree.kind === 'parallel') return inside;
  const between = tree.children.flatMap((child, i) =>
    tree.children
      .slice(0, i)
      .flatMap((earlier) =>
        stepsOf(earlier).flatMap((first) => stepsOf(child).map((second) => [first, second] as const)),
      ),
  );
  return [...inside, ...between];
}

const stepsOf = (tree: Tree): string[] => (tree.kind === 'step' ? [tree.id] : tree.children.flatMap(stepsOf));

describe.skipIf(!isTurnOf('random sagas', 'cancelled'))('random sagas that are cancelled at a random place', () => {
  const watched = new WatchedWorld();
  let env: RealTimeEnvironment;

  beforeAll(async () => {
    env = await startRealTimeEnvironment('property', { svc: watched.participant(['work']) });
  });
  afterAll(() => env?.stop());

  async function cancelAndAwait(id: string): Promise<void> {
    const workflow = env.client.workflow.getHandle(id);
    await workflow.cancel();
    await expect
      .poll(
        async () => {
          const events = (await workflow.fetchHistory()).events ?? [];
          const requested = events.findIndex((event) => event.workflowExecutionCancelRequestedEventAttributes);
          return requested >= 0 && events.slice(requested).some((event) => event.workflowTaskCompletedEventAttributes);
        },
        { timeout: 10_000 },
      )
      .toBe(true);
  }

  function judge(id: string, { plan, steps, refused }: Case, report: SettledSagaReport<string>, met?: string): void {
    const story = watched.world.story(id);
    const times = (line: string): number => story.filter((other) => other === line).length;
    const committed = report.outcome === 'committed';
    // Reached at all, a pivot or what comes after it is past the point of no return.
    const tooLate = /(pivot|tail)$/.test(met ?? '');
    expect(report.outcome).toBe((refused === undefined && met === undefined) || tooLate ? 'committed' : 'compensated');
    expect(new Set(watched.world.inEffect(id))).toEqual(new Set(committed ? steps : []));
    for (const step of steps) {
      expect(times(`+${step}`), `${step} took effect`).toBeLessThanOrEqual(1);
      expect(times(`-${step}`), `${step} was undone`).toBe(committed ? 0 : times(`+${step}`));
    }
    for (const [earlier, later] of orderOf(plan.body)) {
      const [first, second] = [story.indexOf(`-${later}`), story.indexOf(`-${earlier}`)];
      if (first >= 0 && second >= 0) expect(first, `${later} was undone before ${earlier}`).toBeLessThan(second);
    }
  }

  it(`end with all effects or with none, in ${SAGAS} cases`, async () => {
    const open = fc.sample(cases, { seed, numRuns: SAGAS }).map((tried, i) => ({ tried, id: `interrupted-${i}` }));
    let cancelled = 0;
    const runOne = async ({ tried, id }: { tried: Case; id: string }): Promise<void> => {
      const { plan, refused, cancelledAt } = tried;
      if (refused !== undefined) watched.world.script(id, refused, { execute: () => 'refuse' });
      let met: string | undefined;
      watched.meet(id, `${cancelledAt.place} ${cancelledAt.step}`, async () => {
        met = `${cancelledAt.place} ${cancelledAt.step}`;
        await cancelAndAwait(id);
      });
      const report = await env.transactions.execute<SagaPlan, SettledSagaReport<string>>('anySaga', {
        id,
        input: plan,
      });
      if (met !== undefined) cancelled++;
      try {
        judge(id, tried, report, met);
      } catch (error) {
        const told = JSON.stringify({ ...tried, story: watched.world.story(id), report });
        throw new Error(`${id} of TXN_SEED=${seed}: ${told}`, { cause: error });
      }
    };
    const runner = async (): Promise<void> => {
      for (let next = open.shift(); next !== undefined; next = open.shift()) await runOne(next);
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, runner));
    expect(cancelled, 'cases that were cancelled').toBeGreaterThan(SAGAS / 4);
    expect(watched.overtaken).toEqual([]);
  }, 120_000);
});
