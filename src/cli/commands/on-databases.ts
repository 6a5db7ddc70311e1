/** What the commands that work with the participants' databases have in common: their options, and how they are run. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { Patience } from '../../protocol';
import { readConfiguration } from '../config';
import { Coordinators, namespaceOf } from '../coordinators';
import { closeDatabases, openDatabases, tellFailure } from '../databases';
import type { Database } from '../databases';
import { DEFAULT_GRACE_MS, DEFAULT_HARD_LIMIT_MS } from '../defaults';
import { printAnswer, withOutput } from '../output';
import type { OutputOptions } from '../output';
import type { Answer } from '../table';

export interface DatabaseOptions extends OutputOptions {
  readonly config?: string;
  readonly namespace?: string;
  /** In milliseconds. */
  readonly grace: number;
}

export const withDatabases = (command: Command): Command =>
  withOutput(command)
    .option('--config <file>', 'JSON file that names the databases (default: TXN_CONFIG, or ./temporal-txn.json)')
    .option(
      '--namespace <name>',
      'Temporal namespace of the coordinators (default: TEMPORAL_NAMESPACE, the profile, or "default")',
    )
    .addOption(
      new Option('--grace <seconds>', 'how long a branch may be prepared before it counts as left lying')
        .default(DEFAULT_GRACE_MS, String(DEFAULT_GRACE_MS / 1_000))
        .argParser(numberOf('seconds', 1_000)),
    );

/** A parser of options that are an amount of time. @param ms how long one of the unit is, in milliseconds */
export function numberOf(unit: string, ms: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || value < 0)
      throw new InvalidArgumentError(`Give a number of ${unit} from 0 up.`);
    return value * ms;
  };
}

export interface DatabaseSession {
  readonly databases: readonly Database[];
  readonly coordinators: Coordinators;
  readonly namespace: string;
  readonly patience: Patience;
}

/** Runs a command on the configured databases. An error of our own says what was changed; of any other one it is not known. */
export async function onDatabases(
  options: DatabaseOptions,
  access: 'look' | 'change',
  command: (session: DatabaseSession) => Promise<Answer>,
): Promise<void> {
  let databases: readonly Database[] = [];
  let coordinators: Coordinators | undefined;
  await printAnswer(
    options,
    async () => {
      const namespace = namespaceOf(options.namespace);
      databases = openDatabases(readConfiguration(options.config), access);
      coordinators = new Coordinators(namespace);
      const patience = { graceMs: options.grace, hardLimitMs: DEFAULT_HARD_LIMIT_MS };
      return command({ databases, coordinators, namespace, patience });
    },
    (error) => {
      const secrets = databases.flatMap((database) => database.secrets ?? []);
      return `${UNFORESEEN[access]} ${tellFailure({ secrets }, error)}`;
    },
  );
  await coordinators?.close();
  await closeDatabases(databases);
}

const UNFORESEEN = {
  look: 'Nothing was changed.',
  change: 'It is not known whether anything was changed: run it again without --apply.',
};
