/** What becomes of a value that is written as JSON and read again: a Date is a text, and what is undefined is gone. */
export const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
