import { failsTaskWith } from './sdk';

/**
 * Fails the task of the workflow, which is tried again until somebody has mended what is wrong. Whoever waits for the promise comes no
 * further meanwhile.
 */
export function failTask(error: unknown): Promise<never> {
  const failure = error as Error; // Cast: whatever was thrown is told as it is.
  // A rejection that nobody handles fails the task too, in more words.
  if (!failsTaskWith(failure)) void Promise.reject(failure);
  return new Promise(() => undefined);
}
