/** The fate of a step and of its compensation in a few words: for the Web UI, the terminal and logs. */
import type { CompensationFate, StepFate } from './saga';

/** Such as `done`, `refused: insufficient-funds: …`, `HELD: …`. */
export function tellFate(fate: StepFate): string {
  switch (fate.kind) {
    case 'running':
      return 'running';
    case 'done':
      return fate.answer === 'applied-before' ? 'done (before, by an earlier attempt)' : 'done';
    case 'not-done':
      return `refused: ${fate.refusal.code}: ${fate.refusal.message}`;
    case 'unknown':
      return `unknown: ${fate.cause}`;
    case 'held':
      return `HELD: ${fate.cause}`;
    case 'resolved':
      return `resolved as ${fate.as} by ${fate.by}: ${fate.reason}`;
    case 'skipped':
      return `skipped by ${fate.by}: ${fate.reason}`;
  }
}

/** Such as `compensated`, `HELD: …`, and a dash where there is nothing to undo. */
export function tellCompensation(fate: CompensationFate): string {
  switch (fate.kind) {
    case 'not-needed':
      return '–';
    case 'armed':
      return 'armed';
    case 'running':
      return 'running';
    case 'compensated':
      return 'compensated';
    case 'nothing-to-compensate':
      return 'nothing to compensate: it never happened';
    case 'held':
      return `HELD: ${fate.cause}`;
    case 'resolved':
      return `resolved by ${fate.by}: ${fate.reason}`;
    case 'skipped':
      return `given up by ${fate.by}: ${fate.reason}; the effect stays`;
  }
}
