/** The commands about one transaction, and their list, in the process of a test: a process of its own for each call would cost half a second of a processor. */
import { Command } from 'commander';
import { vi } from 'vitest';
import { registerList } from '../../src/cli/commands/list';
import { addTransactionCommands } from '../../src/cli/commands/transaction';
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
  const { exitCode: before } = process;
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  try {
    const program = new Command('temporal-txn').exitOverride();
    addTransactionCommands(program);
    registerList(program);
    await program.parseAsync(args, { from: 'user' });
    return { exitCode: Number(process.exitCode), ...printed };
  } finally {
    process.exitCode = before;
    vi.unstubAllEnvs();
    log.mockRestore();
    error.mockRestore();
  }
}
