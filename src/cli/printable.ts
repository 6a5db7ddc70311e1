/**
 * How what others wrote gets to a terminal: ids, reasons and names of roles may hold control sequences, line breaks or marks
 * that turn the writing direction, and would be taken for words of this command.
 */

const LONGEST = 400;

/** Printable ASCII, however long: for a text of ours with what others wrote in it. */
export const escaped = (text: string): string =>
  text.replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** One line of printable ASCII, shortened only far beyond what is usual. */
export function printable(text: string): string {
  const line = escaped(text);
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST)}... (${text.length} characters)`;
}

/** As an argument in a shell. */
export const quoted = (text: string): string =>
  /^[\w.:@/-]+$/.test(text) ? text : `'${printable(text).replaceAll("'", `'\\''`)}'`;

/** JSON of printable ASCII; the same value to whoever parses it. */
export const toJson = (value: unknown): string => JSON.stringify(value, null, 2).split('\n').map(escaped).join('\n');

const UNITS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
] as const;

/** Such as `3 min`. */
export function age(ms: number): string {
  const [size, unit] = UNITS.find(([ms_]) => ms >= ms_) ?? [1_000, 's'];
  return `${Math.floor(Math.max(0, ms) / size)} ${unit}`;
}

/** Such as `1 branch`, `2 branches`. */
export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;
