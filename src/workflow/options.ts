/** The options of a saga and its steps, with every default in one place. */
import type { Duration, RetryPolicy } from '@temporalio/common';
import { DEFAULT_TIMEOUTS } from '../protocol';

/**
 * What to do when it is not known whether a step happened.
 * - `compensate`: the step has failed; its compensation undoes it if it did happen and keeps it from happening if not.
 * - `query`: ask the participant, which either has it or will never have it; then go on accordingly.
 * - `hold`: wait for a person.
 */
export type OnUnknown = 'compensate' | 'query' | 'hold';

export interface StepOptions {
  /**
   * Branch id. Give one where the same operation runs several times side by side, so that each call keeps its name when the
   * workflow is reset or its code changes.
   * @default `<participant>.<operation>`, a repeated one with `-2`, `-3`, …
   */
  readonly id?: string;
  /**
   * How long to try, retries included; then the outcome is unknown. A pivot is then asked about until it is known, and a
   * retriable step goes on. A free-form step has no limit unless given one here.
   * @default 2 minutes
   */
  readonly timeout?: Duration;
  /** How long one attempt may take. Must be longer than the participant's idle-in-transaction timeout. @default 10 seconds */
  readonly attemptTimeout?: Duration;
  /** @default 200 ms, doubled up to 10 s, without limit of attempts */
  readonly retry?: RetryPolicy;
  /** A saga that does not know all that was asked for in its name asks whatever this says, see docs/sagas.md. @default 'compensate' */
  readonly onUnknown?: OnUnknown;
  /** One line for the Web UI. No personal data: it is readable unless payloads are encrypted. @default `at <participant>` */
  readonly summary?: string;
}

export interface SagaOptions {
  /**
   * Transaction id. Give one for each run of a workflow that continues as new, or has a cron schedule.
   * @default the workflow id; of a second transaction of the workflow `<id>/2`, see docs/sagas.md "Nested sagas"
   */
  readonly id?: string;
  /** How long the saga may take until its pivot; then it is undone, unless it does not know all that was asked for in its name. 30 days at most. @default no limit */
  readonly timeout?: Duration;
  /** How long a compensation, or a step after the pivot, may fail until a person is told, and an attempt's time at least. It goes on being retried. 30 days at most. @default 1 minute */
  readonly holdAfter?: Duration;
  /**
   * Fails at once, rather than waits, where something is known to be away. Before anything is asked of anybody: one of these
   * participants; then it ends as `TransactionNotAttempted`, and may be started again under its id. At a step: something that its
   * operation calls, see `circuit`; then the step is refused with the code `circuit-open`. Costs a local activity.
   * @default it waits, as long as the timeouts of its steps say
   */
  readonly failFast?: readonly string[];
  /** Defaults for all its steps. */
  readonly steps?: Omit<StepOptions, 'id' | 'summary'>;
}

export interface StepSettings {
  /** Undefined: no limit was given, which only a free-form step can do without. */
  readonly timeout: Duration | undefined;
  readonly attemptTimeout: Duration;
  readonly retry: RetryPolicy;
  readonly onUnknown: OnUnknown;
  readonly failFast: boolean;
}

export const DEFAULT_STEP_TIMEOUT: Duration = DEFAULT_TIMEOUTS.saga.stepMs;
export const DEFAULT_HOLD_AFTER: Duration = DEFAULT_TIMEOUTS.saga.holdAfterMs;

export const settingsOf = (saga: SagaOptions, step: StepOptions): StepSettings => ({
  timeout: step.timeout ?? saga.steps?.timeout,
  attemptTimeout: step.attemptTimeout ?? saga.steps?.attemptTimeout ?? DEFAULT_TIMEOUTS.local.startToCloseMs,
  retry: step.retry ??
    saga.steps?.retry ?? { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '10 seconds' },
  onUnknown: step.onUnknown ?? saga.steps?.onUnknown ?? 'compensate',
  failFast: saga.failFast !== undefined,
});

/** For what has to succeed in the end. */
export const INSISTENT_RETRY: RetryPolicy = {
  initialInterval: '200 milliseconds',
  backoffCoefficient: 2,
  maximumInterval: '30 seconds',
};
