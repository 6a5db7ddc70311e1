/** `temporal-txn doctor` */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { LocalTimeouts } from '../../protocol';
import { readConfiguration } from '../config';
import { DEFAULT_GRACE_MS } from '../defaults';
import { examine } from '../doctor/doctor';
import { tellChecks } from '../doctor/tell';
import { DOCTOR_HELP } from '../help';
import { printAnswer, withOutput } from '../output';
import type { OutputOptions } from '../output';

interface DoctorOptions extends OutputOptions {
  readonly config?: string;
  readonly namespace?: string;
  readonly taskQueue: string;
  /** In milliseconds, as the next one. */
  readonly grace: number;
  readonly timeout: number;
  readonly timeouts: Partial<LocalTimeouts>;
}

const DEFAULT_TIMEOUT_MS = 5_000;

export function registerDoctor(program: Command): void {
  withOutput(program.command('doctor').summary('check that everything is set up and at work'))
    .addHelpText('before', DOCTOR_HELP)
    .option('--config <file>', 'JSON file that names the databases (default: TXN_CONFIG, or ./temporal-txn.json)')
    .option('--namespace <name>', 'Temporal namespace (default: TEMPORAL_NAMESPACE, the profile, or "default")')
    .option('--task-queue <name>', 'task queue of the coordinators', 'transactions')
    .addOption(
      new Option('--grace <seconds>', 'how long a branch may be prepared before it counts as left lying')
        .default(DEFAULT_GRACE_MS, String(DEFAULT_GRACE_MS / 1_000))
        .argParser(seconds(0)),
    )
    .addOption(
      new Option('--timeout <seconds>', 'how long one check may take')
        .default(DEFAULT_TIMEOUT_MS, String(DEFAULT_TIMEOUT_MS / 1_000))
        .argParser(seconds(0.1)),
    )
    .addOption(
      new Option(
        '--timeouts <lock,statement,idle,start-to-close>',
        'what the workers are configured with, in milliseconds',
      )
        .default({}, 'those of the package')
        .argParser(parseTimeouts),
    )
    .action(({ config, namespace, taskQueue, grace, timeout, timeouts, output }: DoctorOptions) =>
      printAnswer({ output }, async () =>
        tellChecks(
          await examine({
            urls: readConfiguration(config),
            ...(namespace === undefined ? {} : { namespace }),
            taskQueue,
            graceMs: grace,
            timeoutMs: timeout,
            timeouts,
          }),
        ),
      ),
    );
}

const MOST_SECONDS = 24 * 60 * 60;

function seconds(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= least && value <= MOST_SECONDS))
      throw new InvalidArgumentError(`Give a number of seconds from ${least} to ${MOST_SECONDS}.`);
    return value * 1_000;
  };
}

/** Their order is checked with the others. */
function parseTimeouts(text: string): Partial<LocalTimeouts> {
  const [lockMs, statementMs, idleInTransactionMs, startToCloseMs, ...more] = text.split(',').map(Number);
  const given = { lockMs, statementMs, idleInTransactionMs, startToCloseMs };
  if (more.length > 0 || Object.values(given).some((value) => !Number.isSafeInteger(value)))
    throw new InvalidArgumentError('Give four numbers of milliseconds, such as 2000,5000,8000,10000.');
  return given as LocalTimeouts; // Cast: all four are numbers.
}
