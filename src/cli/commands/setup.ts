/** `temporal-txn setup` */
import type { Command } from 'commander';
import { readConfiguration } from '../config';
import { closeDatabases, openDatabases, tellFailure } from '../databases';
import type { Database } from '../databases';
import { SETUP_HELP } from '../help';
import { printAnswer, withOutput } from '../output';
import type { OutputOptions } from '../output';
import { setUp } from '../setup';
import { onTemporal } from '../temporal';
import { parseWebUi } from '../web-ui';

interface SetupOptions extends OutputOptions {
  readonly namespace?: string;
  readonly check?: true;
  readonly migrate?: true;
  readonly config?: string;
  readonly webUi?: string;
}

export function registerSetup(program: Command): void {
  withOutput(program.command('setup').summary('register the search attributes, migrate schemas, link to the Web UI'))
    .addHelpText('before', SETUP_HELP)
    .option('--check', 'only look')
    .option('--migrate', 'bring schema txn of the configured databases up to date too')
    .option('--config <file>', 'JSON file that names the databases, with the logins of the owners of schema txn')
    .option('--namespace <name>', 'Temporal namespace (default: TEMPORAL_NAMESPACE, the profile, or "default")')
    .option('--web-ui <url>', 'address of the Temporal Web UI, for links to its list (default: TXN_WEB_UI)')
    .action(run);
}

async function run({ namespace, check, migrate, config, webUi, ...options }: SetupOptions): Promise<void> {
  let databases: readonly Database[] = [];
  await printAnswer(
    options,
    async () => {
      const shown = webUi ?? (process.env['TXN_WEB_UI'] || undefined);
      const address = shown === undefined ? undefined : parseWebUi(shown);
      if (migrate) databases = openDatabases(readConfiguration(config), check ? 'look' : 'change');
      return onTemporal(namespace, (temporal) =>
        setUp(temporal, { mode: check ? 'check' : 'apply', databases, ...(address ? { webUi: address } : {}) }),
      );
    },
    (error) => `Not done: ${tellFailure({ secrets: databases.flatMap(({ secrets = [] }) => secrets) }, error)}`,
  );
  await closeDatabases(databases);
}
