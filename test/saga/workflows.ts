/** Sagas that do what a script says, so that a test reads as the story that it tells. */
import { sleep } from '@temporalio/workflow';
import type { Duration } from '@temporalio/common';
import { saga } from 'temporal-txn/workflow';
import type { BranchOperation, Saga, SagaOptions, SettledSagaReport, StepOptions } from 'temporal-txn/workflow';

/** One move of a script. Operations are written `participant.operation`. */
export type Move =
  | { readonly kind: 'step' | 'pivot' | 'retriable'; readonly operation: string; readonly options: StepOptions }
  /** Side by side: waits for all, fails with the first. */
  | { readonly kind: 'together'; readonly moves: readonly Move[] }
  /** One after the other, as one of those that run side by side. */
  | { readonly kind: 'in-turn'; readonly moves: readonly Move[] }
  | { readonly kind: 'pause'; readonly duration: Duration }
  /** Goes on when the move fails. */
  | { readonly kind: 'tolerate'; readonly move: Move };

export interface Script {
  readonly moves: readonly Move[];
  readonly options: SagaOptions;
}

/** Resolves with the results of the moves. */
export const scripted = ({ moves, options }: Script): Promise<unknown> => saga((s) => inTurn(s, moves), { ...options });

/** Resolves with the report. */
export const settled = ({ moves, options }: Script): Promise<SettledSagaReport<unknown>> =>
  saga.settle((s) => inTurn(s, moves), { ...options });

async function inTurn(s: Saga, moves: readonly Move[]): Promise<unknown[]> {
  const results: unknown[] = [];
  for (const move of moves) results.push(await make(s, move));
  return results;
}

async function make(s: Saga, move: Move): Promise<unknown> {
  switch (move.kind) {
    case 'step':
    case 'pivot':
    case 'retriable':
      return s[move.kind](operationOf(move.operation), { asked: move.operation }, move.options);
    case 'together':
      return Promise.all(move.moves.map((each) => make(s, each)));
    case 'in-turn':
      return inTurn(s, move.moves);
    case 'pause':
      return sleep(move.duration);
    case 'tolerate':
      return make(s, move.move).catch((error: unknown) => String(error));
  }
}

function operationOf(name: string): BranchOperation<unknown, unknown, 'compensatable'> {
  const [participant = '', operation = ''] = name.split('.');
  return { participant, operation };
}
