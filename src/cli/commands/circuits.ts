/** `temporal-txn circuits` and `temporal-txn circuit` */
import { Option } from 'commander';
import type { Command } from 'commander';
import { listCircuits, ruleCircuit } from '../circuits';
import { InvalidArgument } from '../errors';
import { CIRCUIT_HELP, CIRCUITS_HELP } from '../help';
import { parseText } from '../target';
import { onDatabases, withDatabases } from './on-databases';
import type { DatabaseOptions } from './on-databases';

interface CircuitOptions extends DatabaseOptions {
  readonly by: string;
  readonly reason: string;
  readonly isolate?: true;
  readonly close?: true;
  readonly apply?: true;
}

export function registerCircuits(program: Command): void {
  withDatabases(program.command('circuits').summary('show which circuits are open, and what they cut off'))
    .addHelpText('before', CIRCUITS_HELP)
    .argument('[participant]', 'only those of its workers')
    .action((participant: string | undefined, options: DatabaseOptions) =>
      onDatabases(options, 'look', ({ databases }) => listCircuits(databases, participant)),
    );

  withDatabases(program.command('circuit').summary('isolate or close one of them'))
    .addHelpText('before', CIRCUIT_HELP)
    .argument('<participant>', 'whose workers it belongs to')
    .argument('<circuit>', 'its name, as circuits shows it')
    .requiredOption('--by <who>', 'who you are: it is kept')
    .requiredOption('--reason <why>', 'why: it is kept')
    .addOption(new Option('--isolate', 'keep it open until somebody closes it').conflicts(['close']))
    .option('--close', 'close it, and forget what failed')
    .option('--apply', 'do it; without, only tell what would be done')
    .action(rule);
}

function rule(participant: string, circuit: string, options: CircuitOptions): Promise<void> {
  return onDatabases(options, options.apply ? 'change' : 'look', async ({ databases }) => {
    if (!options.isolate && !options.close)
      throw new InvalidArgument('what to do', 'missing', 'Give one of --isolate and --close.');
    return ruleCircuit(databases, {
      participant,
      circuit,
      ruling: options.isolate ? 'isolate' : 'close',
      by: parseText('--by', options.by),
      reason: parseText('--reason', options.reason),
      mode: options.apply ? 'apply' : 'dry-run',
    });
  });
}
