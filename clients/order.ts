/** `npm run order -- --item BOOK-1:2 --total 59.80 --region DE`. For a program: `npm run -s order -- … --json`. */
import { Command, InvalidArgumentError } from 'commander';
import type { OrderRequest } from '../workflows/order-processing';
import { cartOf, withCartOptions } from './lib/cart';
import type { CartOptions } from './lib/cart';
import { run, transactionIdOf, withRunOptions } from './lib/run';
import type { RunOptions } from './lib/run';

interface Options extends RunOptions, CartOptions {
  readonly region: string;
}

function parseRegion(text: string): string {
  if (!/^[A-Z]{2}(-[A-Z0-9]{1,3})?$/.test(text)) {
    throw new InvalidArgumentError(`"${text}" is not an ISO 3166 code. Write it like DE or NO-21.`);
  }
  return text;
}

const command = withRunOptions(
  withCartOptions(
    new Command('order').description('Takes an order through the company: stock, money, parcel, status'),
  ).option('--region <code>', 'where the parcel goes, ISO 3166', parseRegion, 'DE'),
);

async function main(): Promise<void> {
  const options = command.parse().opts<Options>();
  const id = transactionIdOf('processOrder', options);
  const input: OrderRequest = { ...cartOf(command, id, options), region: options.region };
  await run({ workflow: 'processOrder', id, input }, options);
}

void main();
