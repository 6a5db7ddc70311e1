/**
 * Whether a saga runs in a test. A step out of place, such as one that would need undoing after the pivot, is then an
 * error; in production, where money has moved already, it is run as best it can be and logged.
 */
const slot = globalThis as { [key: symbol]: boolean | undefined };
const STRICT = Symbol.for('temporal-txn.strict');

export const isStrict = (): boolean => slot[STRICT] === true;

/** Makes every saga of this workflow strict. Called by the workflow interceptors module of the test kit. */
export function beStrict(): void {
  slot[STRICT] = true;
}
