/** Transactions of two-phase commit that do what a test says, so that it reads as the story that it tells. */
import { ActivityCancellationType, ApplicationFailure, condition, proxyActivities } from '@temporalio/workflow';
import type { Duration } from '@temporalio/common';
import { saga, twoPhaseCommit } from 'temporal-txn/workflow';
import type {
  AnyBranch,
  BranchOperation,
  Decision,
  ExternalBranch,
  ExternalRequest,
  FreeStep,
  SettledSagaReport,
  SettledCommitReport,
  TwoPhaseCommitOptions,
} from 'temporal-txn/workflow';

export { coordinateTwoPhaseCommit } from 'temporal-txn/workflow';
export { transferMoneyAtomically, transferOnceApproved } from '../../workflows';

/** A branch as data. */
export type Planned =
  | { readonly participant: string; readonly operation: string; readonly id?: string; readonly input?: unknown }
  | {
      readonly id: string;
      /** `asked`: by an activity; `fails`: it cannot be asked; absent: it asks by itself. */
      readonly prepare?: 'asked' | 'fails';
      readonly finish: 'told' | 'ack' | 'none';
      readonly voteTimeout?: Duration;
    };

export interface Plan {
  readonly branches: readonly Planned[];
  readonly options?: TwoPhaseCommitOptions;
}

interface Partner {
  ask(request: ExternalRequest): Promise<void>;
  tell(request: ExternalRequest & { readonly decision: Decision }): Promise<void>;
}

const partner = proxyActivities<Partner>({
  taskQueue: 'partner',
  startToCloseTimeout: '10 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { maximumAttempts: 1 },
});

function branchOf(planned: Planned): AnyBranch {
  if ('participant' in planned) return { input: null, ...planned };
  const { id, prepare, finish, voteTimeout } = planned;
  const external: ExternalBranch = {
    id,
    finish: finish === 'told' ? (request) => partner.tell(request) : finish,
    ...(voteTimeout === undefined ? {} : { voteTimeout }),
  };
  if (prepare === undefined) return external;
  return {
    ...external,
    prepare: (request) => {
      if (prepare === 'asked') return partner.ask(request);
      throw ApplicationFailure.nonRetryable('The partner is on holiday.');
    },
  };
}

/** Resolves with the report. */
export const settles = ({ branches, options = {} }: Plan): Promise<SettledCommitReport<'two-phase-commit'>> =>
  twoPhaseCommit.settle(branches.map(branchOf), { ...options });

/** Resolves with the results. */
export const commits = ({ branches, options = {} }: Plan): Promise<readonly unknown[]> =>
  twoPhaseCommit(branches.map(branchOf), { ...options });

/** Several transactions in one workflow, side by side. */
export const sideBySide = (plans: readonly Plan[]): Promise<readonly SettledCommitReport<'two-phase-commit'>[]> =>
  Promise.all(plans.map(settles));

/** The same, failing with the first one that has not committed. */
export const together = (plans: readonly Plan[]): Promise<readonly (readonly unknown[])[]> =>
  Promise.all(plans.map(commits));

const reserve: BranchOperation<null, string, 'compensatable'> = { participant: 'shop', operation: 'reserve' };
const ship: BranchOperation<null, string, 'compensatable'> = { participant: 'shop', operation: 'ship' };

const money: FreeStep<null, readonly unknown[]> = {
  name: 'money',
  execute: () =>
    twoPhaseCommit([
      { participant: 'north', operation: 'debit', input: null },
      { participant: 'south', operation: 'credit', input: null },
    ]),
  /** What is committed is committed: it is undone by a transaction the other way round. */
  compensate: async () => {
    await twoPhaseCommit([
      { participant: 'north', operation: 'credit', input: null },
      { participant: 'south', operation: 'debit', input: null },
    ]);
  },
};

/** A saga one of whose steps is atomic. */
export const sagaAround = (): Promise<SettledSagaReport<unknown>> =>
  saga.settle(async (s) => {
    await s.step(reserve, null);
    await s.step(money, null);
    return s.step(ship, null);
  });

/** Has something else to do when the transaction has ended. */
export async function settlesAndStays(plan: Plan): Promise<void> {
  await settles(plan);
  await condition(() => false);
}
