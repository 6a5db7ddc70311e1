/** Transactions of three-phase commit that do what a test says. */
import { threePhaseCommit } from 'temporal-txn/workflow';
import type { SettledCommitReport, ThreePhaseCommitOptions } from 'temporal-txn/workflow';

export interface Plan {
  readonly branches: readonly { readonly participant: string; readonly operation: string; readonly input?: unknown }[];
  readonly options?: ThreePhaseCommitOptions;
}

/** Resolves with the report. */
export const settles = ({ branches, options = {} }: Plan): Promise<SettledCommitReport<'three-phase-commit'>> =>
  threePhaseCommit.settle(
    branches.map((planned) => ({ input: null, ...planned })),
    options,
  );

export { transferMoneyInThreePhases } from '../../workflows';
