/** Transactions of try-confirm-cancel that do what a test says, so that it reads as the story that it tells. */
import { ApplicationFailure, CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import { defineQuery, defineSignal, setHandler } from '@temporalio/workflow';
import type { Duration } from '@temporalio/common';
import { branch, saga, tryConfirmCancel, twoPhaseCommit } from 'temporal-txn/workflow';
import type {
  BranchOperation,
  Reservation,
  SettledSagaReport,
  SettledCommitReport,
  TryConfirmCancelOptions,
} from 'temporal-txn/workflow';

export { bookTrip, sellTrip } from '../../workflows';

export interface Planned {
  readonly participant: string;
  readonly operation: string;
  readonly id?: string;
  readonly input?: unknown;
  /** As a caller in JavaScript may forget it. */
  readonly forgetful?: true;
}

export interface Plan {
  readonly branches: readonly Planned[];
  readonly options?: Omit<TryConfirmCancelOptions, 'hold'>;
  readonly hold?: {
    readonly limit: Duration;
    /** Does not hear that it is cancelled. */
    readonly deaf?: true;
    /** Fails before there is anything to wait for. */
    readonly fails?: true;
  };
}

/** What somebody who was asked says. */
export type Answer = 'yes' | 'no' | 'fails' | { readonly code: string; readonly message: string };

/** One call of `until`. */
export interface Thought {
  readonly reserved: unknown;
  ended: 'thinking' | 'answered' | 'cancelled';
}

export const answerSignal = defineSignal<[Answer]>('answer');
export const thoughtsQuery = defineQuery<readonly Thought[]>('thoughts');

function holdOf({ limit, deaf, fails }: NonNullable<Plan['hold']>): NonNullable<TryConfirmCancelOptions['hold']> {
  const thoughts: Thought[] = [];
  let answer: Answer | undefined;
  setHandler(answerSignal, (said) => void (answer = said));
  setHandler(thoughtsQuery, () => thoughts);
  const listen = (): Promise<void> => condition(() => answer !== undefined);
  const until = async (reserved: unknown): Promise<boolean> => {
    const thought: Thought = { reserved, ended: 'thinking' };
    thoughts.push(thought);
    try {
      await (deaf ? CancellationScope.nonCancellable(listen) : listen());
    } catch (error) {
      if (isCancellation(error)) thought.ended = 'cancelled';
      throw error;
    }
    thought.ended = 'answered';
    if (answer === 'fails') throw new Error('Nobody could be asked.');
    if (typeof answer === 'object') throw ApplicationFailure.nonRetryable(answer.message, 'Refusal', answer);
    return answer === 'yes';
  };
  const failing = (): never => {
    throw ApplicationFailure.nonRetryable('There is nobody.', 'Nobody');
  };
  return { limit, until: fails ? failing : until };
}

const reservationOf = ({ forgetful, ...planned }: Planned): Reservation =>
  // Cast: the compiler would not let anybody forget it.
  ({ input: null, ...planned, ...(forgetful ? {} : { reserves: true }) }) as Reservation;

const optionsOf = ({ options, hold }: Plan): TryConfirmCancelOptions => ({
  ...options,
  ...(hold ? { hold: holdOf(hold) } : {}),
});

/** Resolves with the report. */
export const settles = (plan: Plan): Promise<SettledCommitReport<'try-confirm-cancel'>> =>
  tryConfirmCancel.settle(plan.branches.map(reservationOf), optionsOf(plan));

/** Resolves with the results. */
export const reserves = (plan: Plan): Promise<readonly unknown[]> =>
  tryConfirmCancel(plan.branches.map(reservationOf), optionsOf(plan));

/** Somebody who mixes the protocols up, in JavaScript. */
export const commitsReservations = (plan: Plan): Promise<unknown> =>
  twoPhaseCommit.settle(plan.branches.map(reservationOf) as never, {});

type Step = BranchOperation<null, string, 'compensatable'>;
const ship: Step = { participant: 'shop', operation: 'ship' };
const credit: Step = { participant: 'south', operation: 'credit' };
const debit: Step = { participant: 'north', operation: 'debit' };

const undoings: Readonly<Record<string, () => Promise<unknown>>> = {
  'try-confirm-cancel': () => tryConfirmCancel([reservationOf({ participant: 'south', operation: 'reserve' })]),
  'two-phase-commit': () => twoPhaseCommit([branch(credit, null), branch(debit, null)]),
  saga: () => saga((s) => s.step(credit, null)),
};

/** A saga whose first step is undone by a transaction of its own, and whose second one may take its time. */
export const undoneBy = (protocol: string): Promise<SettledSagaReport<unknown>> =>
  saga.settle(async (s) => {
    const compensate = async (): Promise<void> => void (await undoings[protocol]?.());
    await s.step({ name: 'first', execute: async () => null, compensate }, null);
    return s.step(ship, null);
  });
