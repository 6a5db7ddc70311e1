/**
 * What a step does: an operation of a participant, or any object with a name, an `execute` and a `compensate`. Both look the
 * same to the saga.
 */
import type { Duration } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time';
import { patched, TemporalFailure } from '@temporalio/workflow';
import type { ApplicationFailure } from '@temporalio/workflow';
import type { BranchId, CompensateAnswer, ExecuteAnswer, QueryAnswer, StepFate } from '../protocol';
import { within } from './alarm';
import type { Attempt, Inside, TransactionContext } from './context';
import type { BranchCall } from './dispatch';
import { SagaDefinitionError } from './errors';
import { groupOf } from './event-group';
import { fateOf, isNotAttempted, messageOf } from './failures';
import { FreeStepScope } from './free-step-scope';
import { DEFAULT_STEP_TIMEOUT, INSISTENT_RETRY } from './options';
import type { StepSettings } from './options';
import type { BranchOperation } from '../protocol';
import { probe } from './probe';
import type { Probed } from './probe';
import { retrying } from './retrying';

/** What a free-form step is told. */
export interface FreeCall<I> {
  /** Transaction id and branch id together name the step for ever: use them as the idempotency key of what it calls. */
  readonly transaction: string;
  readonly branch: string;
  readonly input: I;
}

/** A step that is no operation of a participant: other activities, a child workflow, whatever workflow code can do. */
export interface FreeAction<I, R> {
  /** Letters, digits, `.`, `_`, `-`. */
  readonly name: string;
  /**
   * A refusal, or the end of a transaction in here that was undone, counts as proof that the step did nothing only where it was the one thing
   * that was begun. Otherwise the outcome is unknown.
   */
  execute(call: FreeCall<I>): Promise<R>;
}

/** The same, with a way back. */
export interface FreeStep<I, R> extends FreeAction<I, R> {
  /** Must do nothing when the step never happened, and undo the part that did. `result` is undefined when that is not known. */
  compensate(call: FreeCall<I>, result: R | undefined): Promise<void>;
  /** Settles an unknown outcome for ever. Needed for `onUnknown: 'query'`. */
  query?(call: FreeCall<I>): Promise<{ readonly kind: 'done'; readonly result: R } | { readonly kind: 'not-done' }>;
}

export type Runnable<I, R> = BranchOperation<I, R> | FreeAction<I, R>;

/** A step's action, bound to its branch. */
export interface Action {
  /** What is known of it, once an attempt has failed so. */
  fateOf(error: unknown): StepFate;
  /** Tries as long as the step's settings say. */
  execute(): Promise<ExecuteAnswer>;
  /** Tries until `limit`, for a step that has to succeed. */
  insist(limit: Duration): Promise<ExecuteAnswer>;
  /** `result` is undefined when it is not known whether the step happened. */
  compensate(limit: Duration, result: unknown): Promise<CompensateAnswer>;
  /** How its participant is, once its time was up. Absent for a free-form step. */
  readonly probe?: () => Promise<Probed>;
  /** Absent when nobody can be asked. */
  readonly query?: (limit: Duration) => Promise<QueryAnswer>;
}

export const nameOf = (runnable: Runnable<never, unknown>): string =>
  'execute' in runnable ? runnable.name : `${runnable.participant}.${runnable.operation}`;

export const isCompensatable = (runnable: Runnable<never, unknown>): boolean =>
  !('execute' in runnable) || 'compensate' in runnable;

export function actionOf(
  runnable: Runnable<never, unknown>,
  branch: BranchId,
  input: unknown,
  context: TransactionContext,
  settings: StepSettings,
  summary?: string,
): Action {
  return 'execute' in runnable
    ? freeAction(runnable, branch, input, context, settings)
    : branchAction(runnable as BranchOperation, branch, input, context, settings, summary);
}

function branchAction(
  { participant, operation, colocated }: BranchOperation,
  branch: BranchId,
  input: unknown,
  { id, request, inherits, dispatcher }: TransactionContext,
  settings: StepSettings,
  summary = `at ${participant}`,
): Action {
  const { timeout = DEFAULT_STEP_TIMEOUT, attemptTimeout, retry } = settings;
  const call: BranchCall = {
    transaction: id,
    branch,
    participant,
    operation,
    input,
    ...(colocated ? { colocated } : {}),
    ...(request === undefined ? {} : { request }),
    ...(inherits === undefined ? {} : { inherits }),
    ...(settings.failFast ? { failFast: true } : {}),
  };
  const insistently = (limit: Duration, line: string) => ({
    // Temporal takes from an attempt what all of them together do not have, and a participant refuses what has too little time.
    timeout: Math.max(msToNumber(limit), msToNumber(attemptTimeout)),
    attemptTimeout,
    retry: INSISTENT_RETRY,
    summary: line,
  });
  return {
    fateOf,
    execute: () => dispatcher.execute(call, { timeout, attemptTimeout, retry, summary }),
    insist: (limit) => dispatcher.execute(call, insistently(limit, summary)),
    compensate: (limit) => dispatcher.compensate(call, insistently(limit, `at ${participant}`)),
    query: (limit) => dispatcher.query(call, insistently(limit, `at ${participant}`)),
    probe: () => probe(dispatcher, participant, 'nothing'),
  };
}

function freeAction(
  action: FreeAction<unknown, unknown> | FreeStep<unknown, unknown>,
  branch: BranchId,
  input: unknown,
  { id, inside }: TransactionContext,
  settings: StepSettings,
): Action {
  const call: FreeCall<unknown> = { transaction: id, branch, input };
  const { timeout } = settings;
  const once = <T>(run: () => Promise<T>): Promise<T> =>
    timeout === undefined ? run() : within(timeout, `timeout of ${branch}`, run);
  // Whatever it starts belongs to its branch.
  const grouped = <T>(run: () => Promise<T>): Promise<T> => groupOf(id, branch).withScope(run);
  const { query } = action as Partial<FreeStep<unknown, unknown>>;
  const { tryOf } = inside as Inside; // Cast: no group has such a step.
  const executing = (): Attempt => tryOf(branch);
  const asking = (): Attempt => tryOf(`${branch}, asked about`);
  const compensating = (): Attempt => tryOf(`${branch}, compensated`);
  let scope: FreeStepScope | undefined;
  return {
    fateOf: (error) => fateOfFree(error, scope),
    execute: () =>
      grouped(() =>
        once(async () => {
          const { open, run } = executing();
          scope = new FreeStepScope();
          try {
            const result = await scope.run(() => run(() => action.execute(call)));
            if (open.areOpen) await open.untilEnded();
            return { answer: 'applied', result };
          } catch (error) {
            // Nothing undoes it beside what it goes on doing. A bug undoes nothing.
            if (error instanceof TemporalFailure && open.areOpen) await open.untilTurnedBack();
            throw error;
          }
        }),
      ),
    insist: (limit) =>
      grouped(async () => ({
        answer: 'applied',
        result: await retrying(limit, branch, executing, () => action.execute(call)),
      })),
    compensate: (limit, result) =>
      grouped(async () => {
        if (!('compensate' in action)) throw new SagaDefinitionError(`${action.name} has no compensate.`);
        await retrying(limit, `the compensation of ${branch}`, compensating, () => action.compensate(call, result));
        return { answer: 'compensated' };
      }),
    ...(query === undefined
      ? {}
      : {
          query: (limit: Duration) =>
            grouped<QueryAnswer>(async () => {
              const answer = await retrying(limit, `the question about ${branch}`, asking, () =>
                query.call(action, call),
              );
              return answer.kind === 'done'
                ? { answer: 'applied', result: answer.result }
                : { answer: 'never-applied' };
            }),
        }),
  };
}

/** The version before believed whatever failed, except of a transaction that was not begun. */
function fateOfFree(error: unknown, scope: FreeStepScope | undefined): StepFate {
  const told = fateOf(error);
  if (told.kind !== 'not-done') return told;
  const before = !isNotAttempted(error);
  const now = scope?.isToldBy(error) === true;
  const isBelieved = before !== now && patched('temporal-txn-told-by-failure') ? now : before;
  return isBelieved ? told : { kind: 'unknown', cause: messageOf(error) };
}

/** Of a step that nobody can be asked for. It is on record like any other: one that has to succeed waits for a person. */
export const refused = (failure: ApplicationFailure): Action => ({
  fateOf: () => ({ kind: 'not-done', refusal: { code: 'bad-input', message: failure.message } }),
  execute: () => Promise.reject(failure),
  insist: () => Promise.reject(failure),
  compensate: () => Promise.resolve({ answer: 'nothing-to-compensate' }),
});
