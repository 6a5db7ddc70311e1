import { show } from '../protocol';
import { InvalidEventError } from './errors';

const MOST_CHARACTERS = 200;

/** @throws {InvalidEventError} unless it is a text of a length that the tables take */
export function checkText(field: string, value: unknown, least: 0 | 1 = 1): void {
  if (typeof value === 'string' && value.length >= least && value.length <= MOST_CHARACTERS && !value.includes('\0'))
    return;
  const allowed = `a text of ${least} to ${MOST_CHARACTERS} characters without NUL`;
  throw new InvalidEventError(field, `is ${show(value)}`, allowed);
}
