/** `npm run transfer -- --from north-bank/alice --to south-bank/bob --amount 100.00`. For a program: `npm run -s transfer -- … --json`. */
import { Command, InvalidArgumentError } from 'commander';
import type { AccountRef, Transfer } from '../workflows/bank-transfer';
import { amountOf, parseCurrency } from './lib/money';
import { run, transactionIdOf, withRunOptions } from './lib/run';
import type { RunOptions } from './lib/run';

interface Options extends RunOptions {
  readonly from: AccountRef;
  readonly to: AccountRef;
  readonly amount: string;
  readonly currency: string;
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
    .option('--currency <code>', 'ISO 4217', parseCurrency, 'EUR'),
);

async function main(): Promise<void> {
  const { from, to, amount, currency, ...options } = command.parse().opts<Options>();
  const input: Transfer = { from, to, amount: amountOf(command, amount, currency), currency };
  await run({ workflow: 'transferMoney', id: transactionIdOf('transferMoney', options), input }, options);
}

void main();
