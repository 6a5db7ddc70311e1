/** `temporal-txn completion` */
import { Argument } from 'commander';
import type { Command } from 'commander';
import { completionScript, SHELLS } from '../completion';
import type { Shell } from '../completion';
import { COMPLETION_HELP } from '../help';

export function registerCompletion(program: Command): void {
  program
    .command('completion')
    .summary('print a script that completes commands and options in a shell')
    .addHelpText('before', COMPLETION_HELP)
    .addArgument(new Argument('<shell>', 'for which shell').choices(SHELLS))
    .action((shell: Shell) => console.log(completionScript(program, shell)));
}
