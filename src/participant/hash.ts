/** The hash that tells two inputs apart. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../protocol';

/** SHA-256 of the canonical JSON, in hex. */
export const hashOf = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex');
