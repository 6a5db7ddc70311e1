/**
 * `npm run transfer -- --from north-bank/alice --to south-bank/bob --amount 100.00`, as a saga; with `--protocol 2pc` by
 * two-phase and `--protocol 3pc` by three-phase commit, and with `--approved` by two-phase commit once a person has approved it
 * (see `npm run approve`). For a program: `npm run -s transfer -- … --json`.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { AccountRef, Transfer } from '../workflows/bank-transfer';
import { amountOf, parseCurrency } from './lib/money';
import { commandLine, run, transactionIdOf, withRunOptions } from './lib/run';
import type { Question, RunOptions } from './lib/run';

interface Options extends RunOptions {
  readonly from: AccountRef;
  readonly to: AccountRef;
  readonly amount: string;
  readonly currency: string;
  readonly protocol: keyof typeof WORKFLOWS;
  readonly approved?: boolean;
}

function parseAccount(text: string): AccountRef {
  const [, bank, account] = /^(north-bank|south-bank)\/([A-Za-z0-9-]{1,64})$/.exec(text) ?? [];
  if (bank === undefined || account === undefined) {
    throw new InvalidArgumentError(`"${text}" is not an account. Write it like north-bank/alice or south-bank/bob.`);
  }
  return { bank: bank as AccountRef['bank'], account };
}

const command = withRunOptions(
  new Command('transfer')
    .description('Moves money between two banks and writes the audit entry')
    .requiredOption('--from <bank/account>', 'account to debit', parseAccount)
    .requiredOption('--to <bank/account>', 'account to credit', parseAccount)
    .requiredOption('--amount <amount>', 'such as 100 or 99.50')
    .option('--currency <code>', 'ISO 4217', parseCurrency, 'EUR')
    .addOption(new Option('--protocol <name>', 'how it is kept atomic').choices(['saga', '2pc', '3pc']).default('saga'))
    .option('--approved', 'two-phase commit, in which a person has a vote: see npm run approve'),
);

const WORKFLOWS = {
  saga: 'transferMoney',
  '2pc': 'transferMoneyAtomically',
  '3pc': 'transferMoneyInThreePhases',
} as const;

async function main(): Promise<void> {
  const { from, to, amount, currency, protocol, approved, ...options } = command.parse().opts<Options>();
  const input: Transfer = { from, to, amount: amountOf(command, amount, currency), currency };
  // Its two branches would need the same row.
  if (from.bank === to.bank && from.account === to.account)
    return command.error('error: --from and --to are the same account: there is nothing to move');
  if (approved && protocol !== '2pc' && command.getOptionValueSource('protocol') === 'cli')
    return command.error('error: --approved goes by two-phase commit: leave --protocol out, or give 2pc');
  const workflow = approved ? 'transferOnceApproved' : WORKFLOWS[protocol];
  const id = transactionIdOf(workflow, options);
  await run({ workflow, id, input, ...(approved ? { question: approvalOf(id) } : {}) }, options);
}

const approvalOf = (id: string): Question => ({
  isOpen: (report) =>
    report.outcome === 'preparing' &&
    report.branches.some(({ branch, vote }) => branch === 'approval' && vote === 'none'),
  tell: () => `${id} waits for approval.`,
  answers: `See it and vote: ${commandLine('approve', '--id', id)}`,
});

void main();
