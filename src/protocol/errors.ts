/**
 * The errors of the protocol room, and how a value that someone sent may appear in any error: as JSON, shortened, so that
 * control characters, right-to-left marks and megabytes do not reach a log.
 */

/** An identifier does not follow its grammar. Thrown before anything is sent or written. */
export class InvalidIdentifier extends Error {
  override readonly name = 'InvalidIdentifier';

  constructor(
    readonly field: string,
    readonly value: unknown,
    readonly allowed: string,
  ) {
    super(`Nothing was changed: the ${field} ${show(value)} is not allowed. Use ${allowed}.`);
  }
}

/** Timeouts that must be smaller than one another are not. Thrown when a worker or a coordinator starts. */
export class InvalidTimeouts extends Error {
  override readonly name = 'InvalidTimeouts';

  constructor(
    readonly smaller: string,
    readonly larger: string,
    detail: string,
  ) {
    super(`Nothing was started: ${detail}. Make ${smaller} smaller than ${larger}.`);
  }
}

const SHOWN_CHARACTERS = 80;

/** Shows a value in an error or a report: one line of printable ASCII, with at most 80 characters of the value. */
export function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : `${describe(value)}`;
  const printable = text.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return printable.length <= SHOWN_CHARACTERS
    ? printable
    : `${printable.slice(0, SHOWN_CHARACTERS)}... (${text.length} characters)`;
}

function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  return typeof value === 'bigint' ? `${value}n` : `of type ${Array.isArray(value) ? 'array' : typeof value}`;
}
