/** What is sent and remembered of the input of a transaction. */
import { hash } from 'node:crypto';
import { canonicalJson, MOST_INPUT_BYTES } from '../protocol';
import { InvalidInput } from './errors';
import { problemOf, TOO_LARGE } from './input-check';

/** An input that was checked. */
export interface CheckedInput {
  /** What was checked is what is sent: the JSON, read again. */
  readonly input: unknown;
  /** SHA-256 of its canonical JSON, in hexadecimal digits. */
  readonly hash: string;
  /** How long its JSON is. */
  readonly bytes: number;
}

/** @throws {InvalidInput} when it is not what JSON can carry */
export function requestOf(id: string, input: unknown): CheckedInput {
  const problem = problemOf(input);
  if (problem !== undefined) throw new InvalidInput(id, problem.at, problem.what);
  if (input === undefined) return { input, hash: hashOf(null), bytes: 0 };
  const json = JSON.stringify(input);
  const bytes = Buffer.byteLength(json);
  if (bytes > MOST_INPUT_BYTES) throw new InvalidInput(id, '', TOO_LARGE);
  const read: unknown = JSON.parse(json);
  return { input: read, hash: hashOf(read), bytes };
}

const hashOf = (value: unknown): string => hash('sha256', canonicalJson(value), 'hex');
