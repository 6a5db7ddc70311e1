/** What is refused of a saga and of its steps. Temporal would refuse most of it too, later, with every workflow task. */
import { isTooDeep, MOST_LEVELS, show } from '../protocol';
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
export function checkStep(branch: string, { timeout, attemptTimeout, retry }: StepSettings, input: unknown): void {
  for (const [name, value] of Object.entries({ timeout, attemptTimeout }))
    if (value !== undefined && !isWithinLimits(value))
      throw new SagaDefinitionError(`${name} of ${branch} is ${show(value)}. ${WITHIN_LIMITS}`);
  const mistake = mistakeIn(retry);
  if (mistake !== undefined)
    throw new SagaDefinitionError(`retry of ${branch} is no policy: ${mistake}. Leave it out for the default.`);
  if (isTooDeep(input))
    throw new SagaDefinitionError(
      `The input of ${branch} is nested more than ${MOST_LEVELS} levels deep. Send what it needs of that.`,
    );
}
