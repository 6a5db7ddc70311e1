/** Goods and payment on the command line, as `order` and `checkout` both take them. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { amountOf, parseCurrency } from './money';

interface Item {
  readonly sku: string;
  readonly quantity: number;
}

/** The options that {@link withCartOptions} adds. */
export interface CartOptions {
  readonly order?: string;
  readonly customer: string;
  readonly item: readonly Item[];
  readonly total: string;
  readonly currency: string;
  readonly card: string;
}

/** Adds them to a command. */
export const withCartOptions = (command: Command): Command =>
  command
    .requiredOption('--item <sku[:quantity]>', 'article, such as BOOK-1 or BOOK-1:2; repeat it for more', collectItem)
    .requiredOption('--total <amount>', 'what it costs, such as 29.90')
    .option('--currency <code>', 'ISO 4217', parseCurrency, 'EUR')
    .option('--card <token>', 'token of the card to charge', 'tok_visa')
    .option('--customer <number>', "the customer's number", parseCustomer, 'C-1')
    .option('--order <id>', 'order id (default: made from the transaction id)', parseOrder);

/** Reads one more item. @throws {InvalidArgumentError} */
function collectItem(text: string, before: readonly Item[] = []): readonly Item[] {
  const [, sku, quantity = '1'] = /^([A-Z0-9-]{1,32})(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (sku === undefined || Number(quantity) < 1 || Number(quantity) > 10_000) {
    throw new InvalidArgumentError(`"${text}" is not an article and how many of it. Write it like BOOK-1 or BOOK-1:2.`);
  }
  if (before.some((item) => item.sku === sku)) {
    throw new InvalidArgumentError(`${sku} is there twice. Name each article once, with its quantity.`);
  }
  return [...before, { sku, quantity: Number(quantity) }];
}

/** Checked here and not by an option parser, whose message would repeat what may be the number of a card. */
function cardOf(command: Command, token: string): string {
  if (/^tok_[a-z0-9_]{1,60}$/.test(token)) return token;
  return command.error('error: what --card gives is not a card token. Write it like tok_visa, never as a card number.');
}

function parseCustomer(text: string): string {
  if (!/^[A-Za-z0-9-]{1,64}$/.test(text)) {
    throw new InvalidArgumentError(`"${text}" is not a customer number. Write it like C-1.`);
  }
  return text;
}

function parseOrder(text: string): string {
  if (!/^[A-Z0-9-]{1,64}$/.test(text)) {
    throw new InvalidArgumentError(`"${text}" is not an order id. Use 1 to 64 characters of A-Z 0-9 -.`);
  }
  return text;
}

/** What `order` and `checkout` have in common. The same transaction id makes the same order id. */
export function cartOf(command: Command, transaction: string, options: CartOptions) {
  const { customer, item: items, total, currency, card } = options;
  const order =
    options.order ??
    transaction
      .toUpperCase()
      .replace(/[^A-Z0-9-]/g, '-')
      .slice(0, 64);
  return { order, customer, items, total: amountOf(command, total, currency), currency, card: cardOf(command, card) };
}
