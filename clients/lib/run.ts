/**
 * What every client script does: start the transaction once under its id, wait unless told not to, and print how it ended.
 * The exit code says it too: 0 committed or detached, 1 undone, 2 wrong input or nothing started, 3 held or mixed: a person is needed.
 */
import { randomUUID } from 'node:crypto';
import { Option } from 'commander';
import type { Command } from 'commander';
import { connectTemporal, TransactionClient, TransactionFailed, TransactionMixed } from 'temporal-txn/client';
import type { SagaReport } from 'temporal-txn/client';
import { reportTable } from './report';

/** Options that every script has. */
export interface RunOptions {
  readonly id?: string;
  readonly detach?: boolean;
  readonly json?: boolean;
}

/** Adds them to a command. */
export const withRunOptions = (command: Command): Command =>
  command
    .option('--id <id>', 'transaction id: the same id never takes effect twice (default: a new one)')
    .option('--detach', 'start it and do not wait')
    .addOption(new Option('--json', 'print JSON instead of a table'))
    .showHelpAfterError('(add --help for the options)')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

interface Transaction {
  /** The workflow type. */
  readonly workflow: string;
  readonly input: unknown;
}

export async function run({ workflow, input }: Transaction, options: RunOptions): Promise<void> {
  const client = await connectTemporal();
  try {
    const id = options.id ?? `${workflow}-${randomUUID()}`;
    const handle = await new TransactionClient({ client }).start(workflow, { id, input });
    if (options.detach) return print(options, { id, outcome: 'started' }, `started ${id}`);
    if (!options.json) console.log(`${id} …`);
    const result = await handle.result();
    const [report] = await handle.reports();
    print(options, { id, outcome: 'committed', result, report }, report ? reportTable(report) : 'committed');
    if (!options.json) console.log(JSON.stringify(result, null, 2));
  } catch (error) {
    fail(options, error);
  } finally {
    await client.connection.close();
  }
}

function fail(options: RunOptions, error: unknown): void {
  if (!(error instanceof TransactionFailed)) {
    const message = error instanceof Error ? error.message : String(error);
    console.error(options.json ? JSON.stringify({ outcome: 'error', error: message }) : message);
    process.exitCode = 2;
    return;
  }
  const report: SagaReport | undefined = error.report;
  print(
    options,
    { id: error.id, outcome: report?.outcome ?? 'failed', error: error.message, report },
    report ? reportTable(report) : error.message,
  );
  process.exitCode = error instanceof TransactionMixed ? 3 : 1;
}

const print = ({ json }: RunOptions, value: object, text: string): void =>
  console.log(json ? JSON.stringify(value, null, 2) : text);
