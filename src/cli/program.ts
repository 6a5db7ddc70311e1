/** All that the command `temporal-txn` can be asked. */
import { Command, CommanderError, Option } from 'commander';
import type { Decision } from '../protocol';
import { accept } from './accept';
import { auditDatabases } from './audit/audit';
import { tellAudit } from './audit/tell';
import { registerCircuits } from './commands/circuits';
import { registerCompletion } from './commands/completion';
import { registerDeadLetters } from './commands/dead-letters';
import { registerDoctor } from './commands/doctor';
import { registerList } from './commands/list';
import { numberOf, onDatabases, withDatabases } from './commands/on-databases';
import type { DatabaseOptions } from './commands/on-databases';
import { registerSetup } from './commands/setup';
import { addTransactionCommands } from './commands/transaction';
import { DEFAULT_PAUSE_MS } from './defaults';
import { HeuristicNotAccepted } from './errors';
import { gather } from './evidence';
import { ExitCode } from './exit-code';
import { force } from './force';
import { ACCEPT_HELP, AUDIT_HELP, HELP, IN_DOUBT_HELP, RESOLVE_HELP } from './help';
import { tellInDoubt } from './in-doubt';
import { escaped } from './printable';
import { resolve } from './resolve';
import { parseBranch, parseTarget, parseText } from './target';

const pauseOption = (): Option =>
  new Option('--pause <seconds>', 'before what looks wrong is looked at again')
    .default(DEFAULT_PAUSE_MS, String(DEFAULT_PAUSE_MS / 1_000))
    .argParser(numberOf('seconds', 1_000));

const days = numberOf('days', 24 * 60 * 60 * 1_000);

interface ResolveOptions extends DatabaseOptions {
  readonly by: string;
  readonly reason: string;
  readonly apply?: true;
  readonly evenIfRunning?: true;
  readonly force?: Decision;
  readonly iAcceptHeuristic?: true;
}

interface AcceptOptions extends DatabaseOptions {
  readonly by: string;
  readonly reason: string;
  readonly branch?: string;
  readonly pause: number;
  readonly apply?: true;
}

/** Reads arguments and configuration, runs one command, prints its answer, and sets the exit code of the process. */
export async function runProgram(args: readonly string[], version: string): Promise<void> {
  try {
    await makeProgram(version).parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has printed it. Help that was asked for is no mistake.
    process.exitCode = error.exitCode === 0 ? ExitCode.Well : ExitCode.WrongUsage;
  }
}

function makeProgram(version: string): Command {
  const program = new Command('temporal-txn')
    .addHelpText('before', HELP)
    .version(version)
    .showHelpAfterError('(add --help for the options)')
    .configureOutput({
      outputError: (text, write) =>
        write(
          `Nothing was changed: ${text
            .replace(/^error: /, '')
            .split('\n')
            .map(escaped)
            .join('\n')}`,
        ),
    })
    .exitOverride();

  withDatabases(program.command('in-doubt').summary('list the branches that wait for a decision or for being finished'))
    .addHelpText('before', IN_DOUBT_HELP)
    .option('--all', 'young ones too: those younger than --grace')
    .action((options: DatabaseOptions & { readonly all?: true }) =>
      onDatabases(options, 'look', async ({ databases, coordinators, ...looking }) => {
        const evidence = await gather(databases, coordinators, { ...looking, young: options.all === true });
        return tellInDoubt(evidence, looking.patience.graceMs);
      }),
    );

  withDatabases(program.command('resolve').summary('bring one transaction to its decision'))
    .addHelpText('before', RESOLVE_HELP)
    .argument('<transaction-id | gid>', 'the transaction, by its id or by the gid of one of its branches')
    .requiredOption('--by <who>', 'who you are: it is kept with the decision')
    .requiredOption('--reason <why>', 'why: it is kept with the decision')
    .option('--apply', 'do it; without, only tell what would be done')
    .option('--even-if-running', 'abort although the coordinator is running')
    .addOption(
      new Option('--force <decision>', 'finish this one prepared transaction whatever the register says').choices([
        'commit',
        'abort',
      ]),
    )
    .option('--i-accept-heuristic', 'with --force: some branches may take effect and others not')
    .action((text: string, options: ResolveOptions) =>
      onDatabases(options, options.apply ? 'change' : 'look', async ({ databases, coordinators, ...session }) => {
        const request = {
          ...session,
          target: parseTarget(text, session.namespace),
          by: parseText('--by', options.by),
          reason: parseText('--reason', options.reason),
          mode: options.apply ? ('apply' as const) : ('dry-run' as const),
        };
        if (options.force === undefined)
          return resolve(databases, coordinators, { ...request, evenIfRunning: options.evenIfRunning === true });
        if (!options.iAcceptHeuristic) throw new HeuristicNotAccepted(options.force);
        return force(databases, coordinators, { ...request, took: options.force });
      }),
    );

  withDatabases(program.command('audit').summary('compare all registers, branch logs and prepared transactions'))
    .addHelpText('before', AUDIT_HELP)
    .addOption(pauseOption())
    .addOption(
      new Option(
        '--purged-after <days>',
        'age from which branch logs are purged: an older row that is not there proves nothing',
      ).argParser(days),
    )
    .action((options: DatabaseOptions & { readonly pause: number; readonly purgedAfter?: number }) =>
      onDatabases(options, 'look', async ({ databases, namespace }) =>
        tellAudit(
          await auditDatabases(databases, {
            namespace,
            graceMs: options.grace,
            pauseMs: options.pause,
            ...(options.purgedAfter === undefined ? {} : { purgedAfterMs: options.purgedAfter }),
          }),
        ),
      ),
    );

  withDatabases(program.command('accept').summary('keep that a branch did otherwise than decided and is put right'))
    .addHelpText('before', ACCEPT_HELP)
    .argument('<transaction-id | gid>', 'the transaction, by its id, or one of its branches, by its gid')
    .requiredOption('--by <who>', 'who you are: it is kept')
    .requiredOption('--reason <why>', 'how it was put right, or why it may stand: it is kept')
    .option('--branch <branch-id>', 'which branch, where more than one did otherwise')
    .option('--apply', 'do it; without, only tell what would be done')
    .addOption(pauseOption())
    .action((text: string, options: AcceptOptions) =>
      onDatabases(options, options.apply ? 'change' : 'look', ({ databases, coordinators, ...session }) =>
        accept(databases, coordinators, {
          ...session,
          target: parseTarget(text, session.namespace),
          ...(options.branch === undefined ? {} : { branch: parseBranch(options.branch) }),
          by: parseText('--by', options.by),
          reason: parseText('--reason', options.reason),
          mode: options.apply ? 'apply' : 'dry-run',
          pauseMs: options.pause,
        }),
      ),
    );

  registerDeadLetters(program);
  registerCircuits(program);
  registerSetup(program);
  registerDoctor(program);
  registerList(program);
  registerCompletion(program);
  addTransactionCommands(program);

  return program;
}
