/** The command in the process of a test: a process of its own for each call would cost a second of a processor. test/cli/usage.test.ts runs it as it was built. */
import { vi } from 'vitest';
import { runProgram } from '../../src/cli/program';
import type { Printed } from './fixture';

let last: Promise<unknown> = Promise.resolve();

/** Runs a command, one after the other: they print, and leave an exit code, where every other one does. */
export function runInProcess(args: readonly string[], environment: Record<string, string>): Promise<Printed> {
  const run = last.then(() => runAlone(args, environment));
  last = run.catch(() => undefined);
  return run;
}

async function runAlone(args: readonly string[], environment: Record<string, string>): Promise<Printed> {
  const printed = { stdout: '', stderr: '' };
  const log = vi
    .spyOn(console, 'log')
    .mockImplementation((text: unknown) => void (printed.stdout += `${String(text)}\n`));
  const error = vi
    .spyOn(console, 'error')
    .mockImplementation((text: unknown) => void (printed.stderr += `${String(text)}\n`));
  // Commander writes by itself.
  const writes = (['stdout', 'stderr'] as const).map((stream) =>
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      printed[stream] += String(text);
      return true;
    }),
  );
  const { exitCode: before } = process;
  process.exitCode = 0;
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  try {
    await runProgram(args, 'of a test');
    return { exitCode: Number(process.exitCode), ...printed };
  } finally {
    process.exitCode = before;
    vi.unstubAllEnvs();
    log.mockRestore();
    error.mockRestore();
    for (const write of writes) write.mockRestore();
  }
}
