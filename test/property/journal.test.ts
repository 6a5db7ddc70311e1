/** The journal of a saga under any course of events: what may have happened is undone, in an order that builds on nothing undone. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { outcomeOf, parseBranchId, SagaJournal } from '../../src/protocol';
import type { Step, StepFate } from '../../src/protocol';
import { seedOf } from './seed';

const seed = seedOf('saga journal');
const CASES = 5_000;

const by = { by: 'kim', reason: 'test' };
const ENDINGS: readonly StepFate[] = [
  { kind: 'done', answer: 'applied' },
  { kind: 'done', answer: 'applied-before' },
  { kind: 'done', answer: 'read-only' },
  { kind: 'not-done', refusal: { code: 'no', message: 'No.' } },
  { kind: 'unknown', cause: 'timeout' },
  { kind: 'resolved', as: 'done', ...by },
  { kind: 'resolved', as: 'not-done', ...by },
  { kind: 'skipped', ...by },
];
const WAITING: readonly StepFate[] = [{ kind: 'held', cause: 'lost' }, { kind: 'running' }];

/** The steps of the test's own book-keeping: told apart from the journal's, which is under test. */
interface Line {
  readonly step: Step;
  readonly compensatable: boolean;
  /** Whether it can have had an effect that somebody has to undo. */
  mayHaveHappened: boolean;
  ended: boolean;
  /** The lines that had ended when it began. */
  readonly buildsOn: ReadonlySet<Line>;
}

type Event =
  | { readonly kind: 'begin'; readonly compensatable: boolean }
  /** Of the steps that have not ended, the one at this place, counted round. */
  | { readonly kind: 'settle'; readonly which: number; readonly fate: StepFate };

const events = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('begin' as const), compensatable: fc.boolean() }),
    fc.record({
      kind: fc.constant('settle' as const),
      which: fc.nat(20),
      fate: fc.constantFrom(...ENDINGS, ...WAITING),
    }),
  ),
  { maxLength: 40 },
);

/** Plays the events to a journal and keeps the books beside it. */
function play(course: readonly Event[]): { journal: SagaJournal; lines: readonly Line[] } {
  const journal = new SagaJournal();
  const lines: Line[] = [];
  for (const event of course) {
    if (event.kind === 'begin') {
      const buildsOn = new Set(lines.filter(({ ended }) => ended));
      const step = journal.begin({
        branch: parseBranchId(journal.nextBranch('step')),
        role: 'compensatable',
        operation: 'step',
        input: null,
        compensatable: event.compensatable,
      });
      lines.push({ step, compensatable: event.compensatable, mayHaveHappened: true, ended: false, buildsOn });
      continue;
    }
    const open = lines.filter(({ ended }) => !ended);
    const line = open[event.which % open.length];
    if (line === undefined) continue;
    journal.settle(line.step, event.fate, 'result');
    line.ended = ENDINGS.includes(event.fate);
    line.mayHaveHappened = !provesNothing(event.fate);
  }
  return { journal, lines };
}

/** Written out once more, by the words of the specification and not by the code. */
const provesNothing = (fate: StepFate): boolean =>
  ({
    running: false,
    held: false,
    unknown: false,
    skipped: false,
    'not-done': true,
    done: fate.kind === 'done' && fate.answer === 'read-only',
    resolved: fate.kind === 'resolved' && fate.as === 'not-done',
  })[fate.kind];

const holds = (check: (course: readonly Event[]) => void): void =>
  fc.assert(fc.property(events, check), { seed, numRuns: CASES });

describe('the plan of compensations', () => {
  it('holds every step that may have happened and can be undone, and no other: only proof disarms', () => {
    holds((course) => {
      const { journal, lines } = play(course);
      const expected = lines.filter(({ compensatable, mayHaveHappened }) => compensatable && mayHaveHappened);
      expect(new Set(journal.plan('everything').map(({ step }) => step))).toEqual(
        new Set(expected.map(({ step }) => step)),
      );
    });
  });

  it('holds each step once, the last begun first', () => {
    holds((course) => {
      const { journal } = play(course);
      const places = journal.plan('everything').map(({ step }) => journal.steps.indexOf(step));
      expect(places).toEqual([...new Set(places)].sort((a, b) => b - a));
    });
  });

  it('undoes a step after exactly those that began when it had ended', () => {
    holds((course) => {
      const { journal, lines } = play(course);
      const plan = journal.plan('everything');
      for (const { step, before } of plan) {
        const builtOnIt = lines.filter(({ buildsOn }) => [...buildsOn].some((line) => line.step === step));
        const expected = builtOnIt
          .map((line) => line.step)
          .filter((other) => plan.some((entry) => entry.step === other));
        expect(new Set(before)).toEqual(new Set(expected));
      }
    });
  });

  it('names what is to be undone before a step earlier than the step, so it can be carried out from the front', () => {
    holds((course) => {
      const done = new Set<Step>();
      for (const { step, before } of play(course).journal.plan('everything')) {
        for (const other of before) expect(done.has(other)).toBe(true);
        done.add(step);
      }
    });
  });

  it('holds, for a saga that commits, only what may have happened unnoticed', () => {
    holds((course) => {
      const { journal, lines } = play(course);
      const expected = lines.filter(
        ({ step, compensatable }) => compensatable && ['unknown', 'skipped'].includes(step.fate.kind),
      );
      const plan = journal.plan('what may have happened unnoticed');
      expect(new Set(plan.map(({ step }) => step))).toEqual(new Set(expected.map(({ step }) => step)));
    });
  });

  it('is empty once there is no way back', () => {
    holds((course) => {
      const { journal } = play(course);
      journal.disarm();
      expect(journal.plan('everything')).toEqual([]);
    });
  });
});

describe('the report', () => {
  it('lists every step in the order in which they began, each under a name of its own', () => {
    holds((course) => {
      const { journal, lines } = play(course);
      const branches = journal.report().map(({ branch }) => branch);
      expect(branches).toEqual(lines.map(({ step }) => step.branch));
      expect(new Set(branches).size).toBe(branches.length);
    });
  });

  it('amounts to mixed exactly when a person has let an effect stay', () => {
    const undone = fc.constantFrom(
      { kind: 'compensated' } as const,
      { kind: 'nothing-to-compensate' } as const,
      { kind: 'resolved', ...by } as const,
      { kind: 'skipped', ...by } as const,
    );
    fc.assert(
      fc.property(events, fc.array(undone, { minLength: 40, maxLength: 40 }), (course, fates) => {
        const { journal } = play(course);
        const plan = journal.plan('everything');
        for (const [i, { step }] of plan.entries()) step.compensation = fates[i] ?? { kind: 'compensated' };
        const stays = fates.slice(0, plan.length).some(({ kind }) => kind === 'skipped');
        expect(outcomeOf(journal.report())).toBe(stays ? 'mixed' : 'compensated');
      }),
      { seed, numRuns: CASES },
    );
  });
});
