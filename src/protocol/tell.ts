/** The fate of a step and of its compensation, a vote and how it was followed, in a few words: for the Web UI, the terminal and logs. */
import type { CompensationFate, StepFate } from './saga';
import type { BranchReport, FinishFate } from './atomic-commit';

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

/** Such as `commit`, `abort: insufficient-funds: …`, and a dash where no vote has come. */
export function tellVote({ vote, reason }: Pick<BranchReport, 'vote' | 'reason'>): string {
  if (vote === 'none') return '–';
  return reason === undefined ? vote : `${vote}: ${reason.code}: ${reason.message}`;
}

/** Such as `done`, `HELD: …`, and a dash where there is nothing to finish. */
export function tellFinish(fate: FinishFate): string {
  switch (fate.kind) {
    case 'waiting':
    case 'not-needed':
      return '–';
    case 'running':
      return 'running';
    case 'overdue':
      return `OVERDUE, goes on being tried: ${fate.cause}`;
    case 'done':
      return 'done';
    case 'held':
      return `HELD: ${fate.cause}`;
    case 'resolved':
      return `resolved by ${fate.by}: ${fate.reason}`;
    case 'skipped':
      return `left as it is by ${fate.by}: ${fate.reason}; ${fate.evidence}`;
  }
}
