/** The hash under which a transaction's input is remembered. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../protocol';

/** @throws {TypeError} when the input is not JSON: it could not be sent either */
export function requestHash(input: unknown): string {
  const json = JSON.stringify(input) as string | undefined;
  return createHash('sha256')
    .update(canonicalJson(JSON.parse(json ?? 'null')))
    .digest('hex');
}
