/** Money for people to read. Services keep whole minor units of a currency, and a person must not take 1050 for 1050 euros. */

/** How many decimals a currency has: 2 for EUR, 0 for JPY. */
export function decimalsOf(currency: string): number {
  return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2;
}

/** Shows an amount: 1050 EUR becomes `10.50`. */
export function formatAmount(minor: number, currency: string): string {
  return (minor / 10 ** decimalsOf(currency)).toFixed(decimalsOf(currency));
}
