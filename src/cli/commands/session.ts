/** What the commands about one transaction have in common: their options, and what they look with. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { Patience } from '../../protocol';
import { parseTransactionId } from '../../protocol';
import { readConfiguration } from '../config';
import { Coordinators, namespaceOf } from '../coordinators';
import { closeDatabases, openDatabases, tellFailure } from '../databases';
import type { Database } from '../databases';
import { DEFAULT_GRACE_MS, DEFAULT_HARD_LIMIT_MS, DEFAULT_PAUSE_MS } from '../defaults';
import { InvalidArgument, NoDatabaseConfigured } from '../errors';
import { printAnswer, withOutput } from '../output';
import type { OutputOptions } from '../output';
import type { Answer } from '../table';

export interface NamespaceOptions extends OutputOptions {
  readonly namespace?: string;
}

export interface LookOptions extends NamespaceOptions {
  readonly config?: string;
  /** In milliseconds. */
  readonly grace: number;
  /** In milliseconds. */
  readonly pause: number;
}

export const withNamespace = (command: Command): Command =>
  withOutput(command).option(
    '--namespace <name>',
    'Temporal namespace of the workflow (default: TEMPORAL_NAMESPACE, the profile, or "default")',
  );

export const withLooking = (command: Command): Command =>
  withNamespace(command)
    .option('--config <file>', 'JSON file that names the databases (default: TXN_CONFIG, or ./temporal-txn.json)')
    .addOption(
      new Option('--grace <seconds>', 'how long a branch may be prepared before it counts as left lying')
        .default(DEFAULT_GRACE_MS, String(DEFAULT_GRACE_MS / 1_000))
        .argParser(seconds),
    )
    .addOption(
      new Option('--pause <seconds>', 'before what looks wrong is looked at again')
        .default(DEFAULT_PAUSE_MS, String(DEFAULT_PAUSE_MS / 1_000))
        .argParser(seconds),
    );

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('Give a number of seconds from 0 up.');
  return value * 1_000;
}

/** Reads what was typed as a transaction. @throws {InvalidArgument} */
export function idOf(text: string): string {
  try {
    return parseTransactionId(text);
  } catch {
    throw new InvalidArgument(
      'the transaction id',
      text,
      'Use 1 to 255 characters of A-Z a-z 0-9 . _ : @ / = + -, the first a letter or digit.',
    );
  }
}

export interface Session {
  readonly databases: readonly Database[];
  readonly coordinators: Coordinators;
  readonly namespace: string;
  readonly patience: Patience;
}

/** Runs a command that looks at Temporal and the databases. Without any database it says what Temporal says. */
export function look(options: LookOptions, command: (session: Session) => Promise<Answer>): Promise<void> {
  return inSession(options, 'Nothing was changed.', (coordinators, namespace, secrets) => {
    const databases = databasesOf(options);
    secrets.push(...databases.flatMap((database) => database.secrets ?? []));
    const patience = { graceMs: options.grace, hardLimitMs: DEFAULT_HARD_LIMIT_MS };
    return command({ databases, coordinators, namespace, patience }).finally(() => closeDatabases(databases));
  });
}

function databasesOf({ config }: LookOptions): Database[] {
  try {
    return openDatabases(readConfiguration(config), 'look');
  } catch (error) {
    if (error instanceof NoDatabaseConfigured) return [];
    throw error;
  }
}

/** Runs a command that needs Temporal. @param unknown what is true of an error that nobody has foreseen */
export async function inSession(
  options: NamespaceOptions,
  unknown: string,
  command: (coordinators: Coordinators, namespace: string, secrets: string[]) => Promise<Answer>,
): Promise<void> {
  const secrets: string[] = [];
  let coordinators: Coordinators | undefined;
  await printAnswer(
    options,
    async () => {
      const namespace = namespaceOf(options.namespace);
      coordinators = new Coordinators(namespace);
      return command(coordinators, namespace, secrets);
    },
    (error) => `${unknown} ${tellFailure({ secrets }, error)}`,
  );
  await coordinators?.close();
}
