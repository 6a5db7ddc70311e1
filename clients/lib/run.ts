/**
 * What every client script does: start the transaction once under its id, wait unless told not to, and print how it ended.
 * The exit code says it too: 0 committed or detached, 1 aborted or undone, 2 wrong input or nothing started, 3 mixed,
 * interrupted or not known: somebody has to look.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Option } from 'commander';
import { NamespaceNotFoundError } from '@temporalio/common';
import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import {
  connectTemporal,
  InvalidIdentifier,
  temporalSettings,
  TransactionAborted,
  TransactionClient,
  TransactionCompensated,
  TransactionFailed,
  TransactionInputMismatch,
} from 'temporal-txn/client';
import type { TransactionHandle, TransactionReport } from 'temporal-txn/client';
import { reportTable } from './report';
import { quoted, setting } from './shell';

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
  /** Where somebody has to answer before it can end. */
  readonly question?: Question;
}

/** What a transaction asks of a person. */
export interface Question {
  /** Whether it is asked now. */
  readonly isOpen: (report: TransactionReport) => boolean;
  /** What is so while it is open, in one sentence. */
  readonly tell: (startTime: Date) => string;
  /** What to type. */
  readonly answers: string;
}

/** A request that cannot be met, and changed nothing: the message says both. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/** What says where Temporal is, and may be shown: keys may not. */
const PLACE = ['TEMPORAL_ADDRESS', 'TEMPORAL_NAMESPACE', 'TEMPORAL_PROFILE', 'TEMPORAL_CONFIG_FILE'] as const;

/** A command line of these scripts that reaches the same server and namespace as this one, where keys are set as they are here. */
export function commandLine(script: string, ...args: readonly string[]): string {
  const settings = PLACE.flatMap((name) => {
    const value = process.env[name];
    return value ? [setting(name, value)] : [];
  });
  return [...settings, 'npm run', script, '--', ...args.map(quoted)].join(' ');
}

/** The transaction's id: the one that was given, or a new one. */
export const transactionIdOf = (workflow: string, { id }: RunOptions): string => id ?? `${workflow}-${randomUUID()}`;

/** Starts a transaction and follows it to its end. */
export const run = ({ workflow, id, input, question }: Transaction, options: RunOptions): Promise<void> =>
  follow(id, options, (client) => new TransactionClient({ client }).start(workflow, { id, input }), question);

/** Follows a transaction to its end. `begin` starts or finds it. */
export async function follow(
  id: string,
  options: RunOptions,
  begin: (client: Client) => Promise<TransactionHandle>,
  question?: Question,
): Promise<void> {
  let client: Client | undefined;
  const over = new AbortController();
  try {
    client = await connect();
    const handle = await inNamespace(begin(client));
    if (options.detach)
      return print(options, { id, outcome: 'started' }, [`started ${id}`, question?.answers ?? []].flat().join('\n'));
    if (!options.json) console.log(`${id} …`);
    if (question && !options.json) void ask(question, client, handle, over.signal);
    const result = await handle.result();
    const { report, noReport } = await reportOf(handle);
    const shown = report ? reportTable(report) : ['outcome: committed', noReport ?? []].flat().join('\n');
    print(options, { id, outcome: 'committed', result, report, noReport }, shown);
    if (!options.json) console.log(JSON.stringify(result, null, 2));
  } catch (error) {
    if (error instanceof TransactionFailed) failed(options, error);
    else unknown(options, id, error, client !== undefined && !provesNothingStarted(error));
  } finally {
    over.abort();
    await client?.connection.close();
  }
}

/** Of a transaction that has committed, which it has whether or not anybody can tell of its steps. */
async function reportOf(handle: TransactionHandle): Promise<{ report?: TransactionReport; noReport?: string }> {
  try {
    const [report] = await handle.reports();
    return report ? { report } : {};
  } catch (error) {
    return { noReport: `Its steps cannot be shown: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** Says what is asked, once it is. */
async function ask(
  { isOpen, tell, answers }: Question,
  client: Client,
  handle: TransactionHandle,
  over: AbortSignal,
): Promise<void> {
  for (; !over.aborted; await sleep(500)) {
    try {
      const [report] = await handle.reports();
      if (!report || !isOpen(report)) continue;
      const { startTime } = await client.workflow.getHandle(handle.id).describe();
      if (!over.aborted) console.log(`${tell(startTime)}\n${answers}`);
      return;
    } catch {
      // No worker answers yet, or no server: who waits for the result hears of it there.
    }
  }
}

/** For what is asked first: without its namespace, nothing can be there. @throws {Refused} */
export async function inNamespace<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof NamespaceNotFoundError)) throw error;
    throw new Refused(
      `Nothing was changed: Temporal has no namespace ${error.namespace}. Create it, or set TEMPORAL_NAMESPACE.`,
    );
  }
}

/** How a transaction stands, in a word: what its report says, unless somebody has stopped its workflow. */
export async function standingOf(handle: TransactionHandle): Promise<string> {
  const status = await handle.status();
  if (!['RUNNING', 'COMPLETED', 'FAILED'].includes(status)) return status.toLowerCase();
  const [report] = await handle.reports();
  return report?.outcome ?? status.toLowerCase();
}

/** @throws {Error} when no server answers; nothing was started */
export async function connect(): Promise<Client> {
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
  const report: TransactionReport | undefined = error.report;
  print(
    options,
    { id: error.id, outcome: report?.outcome ?? 'failed', error: error.message, report },
    report ? reportTable(report) : error.message,
  );
  const nothingStays = error instanceof TransactionCompensated || error instanceof TransactionAborted;
  process.exitCode = nothingStays ? 1 : 3;
}

const provesNothingStarted = (error: unknown): boolean =>
  error instanceof TransactionInputMismatch || error instanceof InvalidIdentifier || error instanceof Refused;

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
