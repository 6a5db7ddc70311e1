/** `temporal-txn dead-letters` and `temporal-txn dead-letter` */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { listDeadLetters, settleDeadLetter } from '../dead-letters';
import { InvalidArgument } from '../errors';
import { DEAD_LETTER_HELP, DEAD_LETTERS_HELP } from '../help';
import { parseText } from '../target';
import { onDatabases, withDatabases } from './on-databases';
import type { DatabaseOptions } from './on-databases';

interface DeadLetterOptions extends DatabaseOptions {
  readonly eventVersion: number;
  readonly by: string;
  readonly reason: string;
  readonly retry?: true;
  readonly skip?: true;
  readonly data?: string;
  readonly apply?: true;
}

export function registerDeadLetters(program: Command): void {
  withDatabases(program.command('dead-letters').summary('list the events that could not be published'))
    .addHelpText('before', DEAD_LETTERS_HELP)
    .argument('[service]', 'only those of this service')
    .action((service: string | undefined, options: DatabaseOptions) =>
      onDatabases(options, 'look', ({ databases }) => listDeadLetters(databases, service)),
    );

  withDatabases(program.command('dead-letter').summary('publish, leave out or change one of them'))
    .addHelpText('before', DEAD_LETTER_HELP)
    .argument('<service>', 'whose outbox it is in')
    .argument('<key>', 'the key that is parked')
    .requiredOption('--event-version <n>', 'version of the event, as dead-letters shows it', version)
    .requiredOption('--by <who>', 'who you are: it is kept')
    .requiredOption('--reason <why>', 'why: it is kept')
    .addOption(new Option('--retry', 'publish it and what is behind it').conflicts(['skip', 'data']))
    .addOption(new Option('--skip', 'leave it out and publish what is behind it').conflicts(['data']))
    .option('--data <json>', 'give it other data, and publish it and what is behind it')
    .option('--apply', 'do it; without, only tell what would be done')
    .action(settle);
}

function settle(service: string, key: string, options: DeadLetterOptions): Promise<void> {
  return onDatabases(options, options.apply ? 'change' : 'look', async ({ databases }) => {
    const { retry, skip, data, eventVersion } = options;
    if (!retry && !skip && data === undefined)
      throw new InvalidArgument('what to do', 'missing', 'Give one of --retry, --skip and --data.');
    return settleDeadLetter(databases, {
      service,
      key,
      version: eventVersion,
      act: data !== undefined ? { data } : skip ? 'skip' : 'retry',
      by: parseText('--by', options.by),
      reason: parseText('--reason', options.reason),
      mode: options.apply ? 'apply' : 'dry-run',
    });
  });
}

function version(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Give a whole number from 1 up.');
}
