/** What a person needs to know of a saga. */
import { tellFate } from '../../protocol';
import type { SagaReport, StepReport } from '../../protocol';
import { count, printable } from '../printable';
import { NOTHING_KNOWN, causeOf, mixed, rulingCommand, well } from './verdict-words';
import type { Found, Verdict } from './verdict-words';

/** @param found where it was found */
export function judgeSaga({ id }: Found, report: SagaReport): Verdict {
  const { steps } = report;
  const cause = causeOf(report);
  switch (report.outcome) {
    case 'committed':
      return well('Your money is safe: it is committed, every step took effect.', 'All its steps were done.');
    case 'compensated':
      return well('Your money is safe: everything that was done is undone.', `It was undone because: ${cause}.`);
    case 'running': {
      const done = steps.filter(({ fate }) => fate.kind === 'done').length;
      return {
        need: 'nobody',
        first: `Nothing needs a person: it is under way, and ${done} of ${count(steps.length, 'step')} that ${steps.length === 1 ? 'was' : 'were'} begun ${done === 1 ? 'is' : 'are'} done.`,
        why: waitsFor(steps),
        byItself: 'It goes on; where a step is refused, what was done is undone in reverse order.',
        toDo: [],
      };
    }
    case 'compensating':
      return {
        need: 'nobody',
        first: 'Nothing needs a person: it is being undone.',
        why: `It is undone because: ${cause}.`,
        byItself: 'Each step that was done is undone, and that is tried until it succeeds.',
        toDo: [],
      };
    case 'mixed':
      return mixed(steps.flatMap(whatStays), cause);
    case 'held':
      return heldSaga(id, report);
  }
}

function heldSaga(id: string, { steps, id: transaction }: SagaReport): Verdict {
  const held = steps.filter(isHeldStep);
  const [first] = held;
  if (first === undefined) return NOTHING_KNOWN;
  const compensation = first.compensation.kind === 'held';
  const cause = causeIn(first);
  const command = (verb: 'retry' | 'skip' | 'compensate'): string => rulingCommand(verb, id, transaction, first.branch);
  const name = printable(first.branch);
  const wayBack =
    first.role === 'compensatable' && !steps.some(({ role, fate }) => role === 'pivot' && fate.kind !== 'not-done');
  return {
    need: 'person',
    first: `Somebody has to decide: ${compensation ? `the compensation of ${name} keeps failing, so what it did still stands` : `what became of step ${name} is not known, or it keeps failing`}. Nothing is lost: the workflow waits.`,
    why: `${compensation ? `The compensation of ${name}` : `Step ${name}`} is held: ${printable(cause)}.${
      held.length > 1
        ? ` So ${held.length === 2 ? 'is' : 'are'} ${held
            .slice(1)
            .map(({ branch }) => printable(branch))
            .join(', ')}.`
        : ''
    }`,
    byItself:
      'A failure that a retry could cure goes on being retried; what a service refused for good is not tried again until somebody says so.',
    toDo: [
      `Mend the cause, then: ${command('retry')}`,
      ...(compensation
        ? [`Or let its effect stay, and the outcome is mixed: ${command('skip')}`]
        : wayBack
          ? [`Or undo the whole transaction: ${command('compensate')}`]
          : [`Or give the step up: ${command('skip')}`]),
    ],
  };
}

const isHeldStep = ({ fate, compensation }: StepReport): boolean =>
  fate.kind === 'held' || compensation.kind === 'held';

const waitsFor = (steps: readonly StepReport[]): string => {
  const running = steps.filter(({ fate }) => fate.kind === 'running').map(({ branch }) => printable(branch));
  return running.length === 0 ? 'No step is under way just now.' : `It waits for ${running.join(', ')}.`;
};

const whatStays = ({ branch, role, fate, compensation }: StepReport): string[] => {
  if (compensation.kind === 'skipped')
    return [
      `the effect of ${printable(branch)} stays: its compensation was given up by ${printable(compensation.by)}: ${printable(compensation.reason)}`,
    ];
  return role === 'pivot' || fate.kind === 'skipped' ? [`${printable(branch)}: ${printable(tellFate(fate))}`] : [];
};

const causeIn = ({ fate, compensation }: StepReport): string =>
  compensation.kind === 'held' ? compensation.cause : fate.kind === 'held' ? fate.cause : '';
