/** The commands `show` and `explain`. */
import type { Command } from 'commander';
import { DATABASES, EXIT_CODES } from '../help';
import type { Answer } from '../table';
import { explain } from '../transaction/explain';
import { lookAt } from '../transaction/look';
import type { Standing } from '../transaction/look';
import { tellStanding } from '../transaction/tell';
import { idOf, look, withLooking } from './session';
import type { LookOptions } from './session';

const SHOW_HELP = `Shows one transaction on one page. Changes nothing.

  temporal-txn show transfer-4711
  temporal-txn show transfer-4711 -o json

The first line says whether your money is safe and whether somebody is needed. The branches are shown as the workflow reports
them and as they stand in the databases; where these disagree, after a second look, it says so. It works with Temporal down, from
the databases alone, and with a database down, which it names.

${DATABASES}

${EXIT_CODES}
`;

const EXPLAIN_HELP = `Explains one transaction in sentences: what happened, in order, why it stands as it stands, what will happen by itself, and
what to type. Changes nothing.

  temporal-txn explain transfer-4711

${EXIT_CODES}
`;

export function addShow(program: Command): void {
  add(
    program,
    'show',
    'one page of a transaction: is my money safe, and does somebody have to act',
    SHOW_HELP,
    tellStanding,
  );
  add(program, 'explain', 'what happened to a transaction, in sentences, and what to type', EXPLAIN_HELP, explain);
}

function add(
  program: Command,
  name: string,
  summary: string,
  help: string,
  tell: (standing: Standing) => Answer,
): void {
  withLooking(program.command(name).summary(summary))
    .addHelpText('before', help)
    .argument('<transaction-id>', 'the transaction: the id of its workflow')
    .action((text: string, options: LookOptions) =>
      look(options, async ({ databases, coordinators, namespace, patience }) => {
        const looking = { id: idOf(text), namespace, patience, pauseMs: options.pause };
        return tell(await lookAt(databases, coordinators, looking));
      }),
    );
}
