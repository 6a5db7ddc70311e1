/** The protocols, and what of each is measured. */
import type { Cost } from '../cost';

export type Way = 'saga' | '2pc' | '3pc' | 'tcc';

export const WAYS: readonly Way[] = ['saga', '2pc', '3pc', 'tcc'];

/** The workflow of each way. */
export const WORKFLOWS = {
  saga: 'transferBySaga',
  '2pc': 'transferByTwoPhaseCommit',
  '3pc': 'transferByThreePhaseCommit',
  tcc: 'transferByTryConfirmCancel',
} as const satisfies Record<Way, string>;

/** All workflows of a transaction: in three-phase commit each branch has its own. */
export const workflowsOf = (way: Way, id: string): readonly string[] =>
  way === '3pc' ? [id, `${id}#north-bank.debit`, `${id}#south-bank.credit`] : [id];

/** Of every transfer one at a time in the last round. */
export type Costs = Readonly<Record<Way, readonly Cost[]>>;
