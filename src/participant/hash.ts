/** The hash that tells two inputs apart. */
import { hash } from 'node:crypto';
import { canonicalJson } from '../protocol';

/** SHA-256 of the canonical JSON, in hex. */
export const hashOf = (value: unknown): string => hash('sha256', canonicalJson(value), 'hex');
