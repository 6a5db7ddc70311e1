/** `npm run checkout -- --item BOOK-1 --total 29.90 --email ann@customer.example`. For a program: `npm run -s checkout -- … --json`. */
import { Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import type { Cart } from '../workflows/checkout';
import { cartOf, withCartOptions } from './lib/cart';
import type { CartOptions } from './lib/cart';
import { run, transactionIdOf, withRunOptions } from './lib/run';
import type { RunOptions } from './lib/run';

interface Options extends RunOptions, CartOptions {
  readonly email: string;
}

function parseEmail(text: string): string {
  if (!z.email().max(254).safeParse(text).success) {
    throw new InvalidArgumentError(`"${text}" is not a mail address. Write it like ann@customer.example.`);
  }
  return text;
}

const command = withRunOptions(
  withCartOptions(
    new Command('checkout').description('Sells a cart: reserves, charges, writes the order, tells the customer'),
  ).requiredOption('--email <address>', 'who gets the confirmation', parseEmail),
);

async function main(): Promise<void> {
  const options = command.parse().opts<Options>();
  const id = transactionIdOf('checkout', options);
  const input: Cart = { ...cartOf(command, id, options), email: options.email };
  await run({ workflow: 'checkout', id, input }, options);
}

void main();
