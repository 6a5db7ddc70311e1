/** The commands `retry`, `skip` and `compensate`. */
import type { Command } from 'commander';
import { InvalidArgument } from '../errors';
import { rule } from '../rulings';
import type { Ruling } from '../rulings';
import { parseBranch, parseText } from '../target';
import { idOf, inSession, withNamespace } from './session';
import type { NamespaceOptions } from './session';

const EXIT_CODES = `Exit codes: 0 done; 4 there is something to do (as after a dry run), or it waits for something else; 3 no worker answers; 2 wrong
usage, or it waits for nothing. Nothing was changed with 2 and 4.`;

const HELP: Readonly<Record<Ruling, string>> = {
  retry: `Has a held step, compensation or branch tried again at once: after its cause was mended. Without --apply it changes nothing.

  temporal-txn retry transfer-4711 --by ann --reason 'Dave has paid it in again'
  temporal-txn retry transfer-4711 --step south-bank.credit --by ann --reason 'Dave has paid it in again' --apply

A transaction whose workflow was terminated is not retried but resumed with its input, in code, and one whose group was
terminated is handed over by that: it says how.

${EXIT_CODES}
`,
  skip: `Gives up what is held. Without --apply it changes nothing and tells what would come of it.

  temporal-txn skip transfer-4711 --by ann --reason 'Dave may keep it'
  temporal-txn skip transfer-4711 --step south-bank.credit --by ann --reason 'Dave may keep it' --apply

A step counts as failed; the effect of a step whose compensation is skipped stays, and so does a branch that stands otherwise than
decided: the outcome is then mixed. What is decided cannot be skipped: temporal-txn resolve does what the register says.

${EXIT_CODES}
`,
  compensate: `Turns a saga back that waits at a step: everything that was done, also what that step may have done, is undone. Without --apply
it changes nothing.

  temporal-txn compensate transfer-4711 --by ann --reason 'the customer does not want it any more'
  temporal-txn compensate transfer-4711 --step south-bank.credit --by ann --reason 'not wanted any more' --apply

It is refused after the pivot, for a saga that is being undone already, and for what has a decision in a register.

${EXIT_CODES}
`,
};

const SUMMARIES: Readonly<Record<Ruling, string>> = {
  retry: 'have a held step tried again',
  skip: 'give a held step up',
  compensate: 'have a held saga undone',
};

interface RuleOptions extends NamespaceOptions {
  readonly step?: string;
  readonly transaction?: string;
  readonly by: string;
  readonly reason: string;
  readonly apply?: true;
}

export function addRulings(program: Command): void {
  for (const ruling of ['retry', 'skip', 'compensate'] as const)
    withNamespace(program.command(ruling).summary(SUMMARIES[ruling]))
      .addHelpText('before', HELP[ruling])
      .argument('<transaction-id>', 'the transaction: the id of its workflow')
      .requiredOption('--by <who>', 'who you are: it is kept in the history')
      .requiredOption('--reason <why>', 'why: it is kept in the history')
      .option('--step <branch-id>', 'which step or branch, where more than one waits')
      .option('--transaction <id>', 'of which transaction, where several of the workflow hold a step of that name')
      .option('--apply', 'do it; without, only tell what would be done')
      .action((text: string, options: RuleOptions) =>
        inSession(options, unknown(options), async (coordinators, namespace) => {
          const { step, transaction } = options;
          return rule(coordinators, {
            ruling,
            id: idOf(text),
            namespace,
            ...(step === undefined ? {} : { step: stepOf(step) }),
            ...(transaction === undefined ? {} : { transaction: idOf(transaction) }),
            by: parseText('--by', options.by),
            reason: parseText('--reason', options.reason),
            mode: options.apply ? 'apply' : 'dry-run',
          });
        }),
      );
}

const unknown = ({ apply }: RuleOptions): string =>
  apply ? 'It is not known whether anything was changed: run it again without --apply.' : 'Nothing was changed.';

function stepOf(text: string): string {
  try {
    return parseBranch(text);
  } catch {
    throw new InvalidArgument('--step', text, 'Copy the id of the step or branch from temporal-txn show.');
  }
}
