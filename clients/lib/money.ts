/** Money as people write it and as the services keep it: whole minor units of a currency, never a fraction. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { decimalsOf, formatAmount } from '../../activities/money';

/**
 * Reads an amount.
 *
 * @param text such as `100`, `99.50`
 * @param currency ISO 4217, such as `EUR`
 * @returns minor units
 * @throws {InvalidArgumentError} unless it is a positive amount with at most the currency's decimals, up to 2^53 - 1 minor units
 */
function parseAmount(text: string, currency: string): number {
  const decimals = decimalsOf(currency);
  const [, whole = '', fraction = ''] = /^(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  const minor = BigInt(whole + fraction.padEnd(decimals, '0'));
  if (minor < 1n || fraction.length > decimals) {
    throw new InvalidArgumentError(
      `"${text}" is not a positive amount of ${currency} with at most ${decimals} decimals. Write it like 100 or 99.50.`,
    );
  }
  if (minor > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new InvalidArgumentError(
      `${text} ${currency} is too large: the most is ${formatAmount(Number.MAX_SAFE_INTEGER, currency)}.`,
    );
  }
  return Number(minor);
}

/** Reads an amount that can be read only when the currency is known too; ends the command when it cannot. */
export function amountOf(command: Command, text: string, currency: string): number {
  try {
    return parseAmount(text, currency);
  } catch (error) {
    return command.error(`error: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Reads an ISO 4217 currency code. @throws {InvalidArgumentError} */
export function parseCurrency(text: string): string {
  if (!/^[A-Z]{3}$/.test(text) || !Intl.supportedValuesOf('currency').includes(text)) {
    throw new InvalidArgumentError(`"${text}" is not an ISO 4217 currency code. Write it like EUR.`);
  }
  return text;
}
