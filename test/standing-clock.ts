/**
 * For environments on the time-skipping server. When an activity ends, or a signal arrives, in the same moment in which a workflow
 * is cancelled or closes, that server loses count of who waits, and its clock stands still from then on: whatever comes after in
 * the same environment waits for ever. A test that runs out of time is therefore run once more, in a new environment, and fails
 * when that runs out of time too. A test that fails in any other way fails at once.
 */
import type { RunnerTask } from 'vitest';
import { afterEach, beforeAll, beforeEach, vi } from 'vitest';

const OUT_OF_TIME = /timed out in \d+ms/;
const HOOK_TIMEOUT_MS = 120_000;
/** Whoever waits for longer waits in vain. */
const TEST_TIMEOUT_MS = 30_000;

/** To be called beside the hooks that start and stop the environment, before any test. */
export function surviveStandingClock(environment: { start(): Promise<void>; stop(): Promise<void> }): void {
  let stands = false;
  // Until the file ends.
  vi.setConfig({ testTimeout: TEST_TIMEOUT_MS });
  // The runner reads which fixtures are asked for from the pattern: none.
  // eslint-disable-next-line no-empty-pattern
  beforeAll(({}, { file }) => {
    for (const task of testsIn(file.tasks)) task.retry = { count: 1, condition: OUT_OF_TIME };
  });
  beforeEach(async () => {
    if (!stands) return;
    stands = false;
    await environment.stop();
    await environment.start();
  }, HOOK_TIMEOUT_MS);
  afterEach(({ task }) => {
    stands =
      task.result?.state === 'fail' && task.result.errors?.some(({ message }) => OUT_OF_TIME.test(message)) === true;
    if (stands) process.stdout.write(`The clock stands still: ${task.fullTestName}\n`);
  });
}

const testsIn = (tasks: readonly RunnerTask[]): Extract<RunnerTask, { type: 'test' }>[] =>
  tasks.flatMap((task) => (task.type === 'test' ? [task] : testsIn(task.tasks)));
