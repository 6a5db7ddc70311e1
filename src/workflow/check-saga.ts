/** What is refused of a saga and of its steps. Temporal would refuse most of it too, later, with every workflow task. */
import { ApplicationFailure, patched } from '@temporalio/workflow';
import { copyOf, FailureType, isTooDeep, MOST_INPUT_BYTES, MOST_LEVELS, show } from '../protocol';
import type { Runnable } from './action';
import { mistakeIn } from './commit-options';
import { SagaDefinitionError } from './errors';
import { isRefusedNow, isWithinLimits, WITHIN_LIMITS } from './limits';
import type { SagaOptions, StepSettings } from './options';

/** @throws {SagaDefinitionError} */
export function checkSaga({ timeout, holdAfter }: SagaOptions): void {
  for (const [name, value] of Object.entries({ timeout, holdAfter }))
    if (value !== undefined && isRefusedNow(value))
      throw new SagaDefinitionError(`Nothing was started: ${name} of the saga is ${show(value)}. ${WITHIN_LIMITS}`);
}

/** @throws {SagaDefinitionError} */
export function checkStep(branch: string, { timeout, attemptTimeout, retry }: StepSettings): void {
  for (const [name, value] of Object.entries({ timeout, attemptTimeout }))
    if (value !== undefined && !isWithinLimits(value))
      throw new SagaDefinitionError(`${name} of ${branch} is ${show(value)}. ${WITHIN_LIMITS}`);
  const mistake = mistakeIn(retry);
  if (mistake !== undefined)
    throw new SagaDefinitionError(`retry of ${branch} is no policy: ${mistake}. Leave it out for the default.`);
}

/**
 * The input of a step as it is now: the step is asked again, and undone, when the body may have made something else of it. Of what is sent
 * to a participant, as it is sent. Or why nobody can be asked with it, which depends on data: no code that is mended could help.
 */
export function inputOf(
  branch: string,
  runnable: Runnable<never, unknown>,
  input: unknown,
): { readonly input: unknown } | { readonly problem: ApplicationFailure } {
  if (isTooDeep(input))
    return badInput(branch, `is nested more than ${MOST_LEVELS} levels deep. Send what it needs of that.`);
  if ('execute' in runnable) return { input: copyOf(input) };
  const text = JSON.stringify(input) as string | undefined;
  if (text === undefined) return { input: undefined };
  if (isTooLarge(text) && patched('temporal-txn-input-size'))
    return badInput(branch, `has more than ${MOST_INPUT_BYTES} bytes of JSON. Keep it elsewhere and send where it is.`);
  return { input: JSON.parse(text) };
}

const MOST_BYTES_OF_A_UNIT = 3;

const isTooLarge = (text: string): boolean =>
  text.length * MOST_BYTES_OF_A_UNIT > MOST_INPUT_BYTES && new TextEncoder().encode(text).length > MOST_INPUT_BYTES;

const badInput = (branch: string, what: string): { readonly problem: ApplicationFailure } => ({
  problem: ApplicationFailure.nonRetryable(
    `Nothing was changed: the input of ${branch} ${what}`,
    FailureType.BadRequest,
  ),
});
