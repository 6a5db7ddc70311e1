/** `temporal-txn list` */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { LIST_HELP } from '../help';
import { list, PROTOCOLS, STATUS_QUERIES } from '../list';
import type { ListFilter } from '../list';
import { printAnswer, withOutput } from '../output';
import type { OutputOptions } from '../output';
import { onTemporal } from '../temporal';

interface ListOptions extends OutputOptions, ListFilter {
  readonly namespace?: string;
  readonly limit: number;
  readonly page: number;
}

export function registerList(program: Command): void {
  withOutput(program.command('list').summary('list transactions, as Temporal has them'))
    .addHelpText('before', LIST_HELP)
    .addOption(new Option('--status <status>', 'how they stand').choices(Object.keys(STATUS_QUERIES)))
    .addOption(new Option('--protocol <protocol>', 'how they are coordinated').choices(PROTOCOLS))
    .option('--participant <name>', 'those with a branch there')
    .option('--needs-attention', 'those that wait for a person')
    .option('--since <time>', 'started since then: 90s, 15m, 2h, 7d, or a time such as 2030-01-31T08:00Z', since)
    .option('--query <filter>', "a list filter of Temporal's own; what else is given narrows it")
    .option('--limit <n>', 'how many on a page, at most 1000', wholeNumber(1_000), 20)
    .option('--page <n>', 'which page', wholeNumber(1_000), 1)
    .option('--namespace <name>', 'Temporal namespace (default: TEMPORAL_NAMESPACE, the profile, or "default")')
    .action(({ namespace, limit, page, output, ...filter }: ListOptions) =>
      printAnswer({ output }, () => onTemporal(namespace, (temporal) => list(temporal, { filter, limit, page }))),
    );
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function since(text: string): Date {
  const [, number, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (number !== undefined) return new Date(Date.now() - Number(number) * (UNITS_MS[unit] ?? 0));
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? new Date(text) : new Date(NaN);
  if (Number.isNaN(time.getTime()))
    throw new InvalidArgumentError('Give 90s, 15m, 2h or 7d, or a time such as 2030-01-31T08:00Z.');
  return time;
}

function wholeNumber(most: number): (text: string) => number {
  return (text) => {
    if (/^[1-9]\d{0,5}$/.test(text) && Number(text) <= most) return Number(text);
    throw new InvalidArgumentError(`Give a whole number from 1 to ${most}.`);
  };
}
