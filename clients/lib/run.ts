/**
 * What every client script does: start the transaction once under its id, wait unless told not to, and print how it ended.
 * The exit code says it too: 0 committed or detached, 1 undone, 2 wrong input or nothing started, 3 mixed,
 * interrupted or not known: somebody has to look.
 */
import { randomUUID } from 'node:crypto';
import { Option } from 'commander';
import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import {
  connectTemporal,
  InvalidIdentifier,
  temporalSettings,
  TransactionClient,
  TransactionCompensated,
  TransactionFailed,
  TransactionInputMismatch,
} from 'temporal-txn/client';
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
    .addOption(
      new Option(
        '--json',
        'print JSON instead of a table; npm adds lines of its own, unless it is called as npm run -s',
      ),
    )
    .showHelpAfterError('(add --help for the options)')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

interface Transaction {
  /** The workflow type. */
  readonly workflow: string;
  /** See {@link transactionIdOf}. */
  readonly id: string;
  readonly input: unknown;
}

/** The transaction's id: the one that was given, or a new one. */
export const transactionIdOf = (workflow: string, { id }: RunOptions): string => id ?? `${workflow}-${randomUUID()}`;

export async function run({ workflow, id, input }: Transaction, options: RunOptions): Promise<void> {
  let client: Client | undefined;
  try {
    client = await connect();
    const handle = await new TransactionClient({ client }).start(workflow, { id, input });
    if (options.detach) return print(options, { id, outcome: 'started' }, `started ${id}`);
    if (!options.json) console.log(`${id} …`);
    const result = await handle.result();
    const [report] = await handle.reports();
    print(options, { id, outcome: 'committed', result, report }, report ? reportTable(report) : 'committed');
    if (!options.json) console.log(JSON.stringify(result, null, 2));
  } catch (error) {
    if (error instanceof TransactionFailed) failed(options, error);
    else unknown(options, id, error, client !== undefined && !provesNothingStarted(error));
  } finally {
    await client?.connection.close();
  }
}

async function connect(): Promise<Client> {
  // An insecure address says so by itself.
  const { address } = temporalSettings().connectionOptions;
  try {
    return await connectTemporal();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `Nothing was started: no Temporal server answers at ${address} (${why}). Start one, or set TEMPORAL_ADDRESS.`,
      { cause: error },
    );
  }
}

function failed(options: RunOptions, error: TransactionFailed): void {
  const report: SagaReport | undefined = error.report;
  print(
    options,
    { id: error.id, outcome: report?.outcome ?? 'failed', error: error.message, report },
    report ? reportTable(report) : error.message,
  );
  process.exitCode = error instanceof TransactionCompensated ? 1 : 3;
}

const provesNothingStarted = (error: unknown): boolean =>
  error instanceof TransactionInputMismatch || error instanceof InvalidIdentifier;

/** An error on the way is no answer about the transaction, once it may have been started. */
function unknown(options: RunOptions, id: string, error: unknown, mayRun: boolean): void {
  const what = error instanceof Error ? error.message : String(error);
  const message = mayRun
    ? `It is not known how ${id} ended: ${what}\nAsk again with the same options and --id ${id}: it never takes effect twice.`
    : what;
  console.error(options.json ? JSON.stringify({ id, outcome: mayRun ? 'unknown' : 'error', error: message }) : message);
  process.exitCode = mayRun ? 3 : 2;
}

const print = ({ json }: RunOptions, value: object, text: string): void =>
  console.log(json ? JSON.stringify(value, null, 2) : text);
