/** The answer of a command, and how it is laid out. */
import type { ExitCode } from './exit-code';

/** What a command has to say. */
export interface Answer {
  readonly exitCode: ExitCode;
  /** For people. Its first sentence says whether anything was changed or needs a person. */
  readonly text: string;
  /** The same for programs. */
  readonly json: unknown;
}

/**
 * A heading, and below it names with their values.
 *
 * @example block('north-bank', [['transaction', 'transfer-4711']])
 */
export function block(heading: string, rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return [heading, ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)].join('\n');
}
