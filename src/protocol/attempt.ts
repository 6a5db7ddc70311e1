/**
 * Further attempts at a transaction, which contention takes. Each is decided by itself, and so is a transaction of its own in the
 * databases, under an id that no new transaction can have: `<id>+2`, `<id>+3`, … To people it is one transaction, and reports have its id.
 */

/** More are refused. */
export const MOST_ATTEMPTS = 100;

/** @param attempt counted from 1 */
export const idOfAttempt = (id: string, attempt: number): string => (attempt > 1 ? `${id}+${attempt}` : id);

/** The id under which the branches of a report are in the databases: that of its last attempt. */
export const idInDatabases = ({ id, attempts = 1 }: { readonly id: string; readonly attempts?: number }): string =>
  idOfAttempt(id, attempts);

/** Which attempt at which transaction an id names. */
export function readAttempt(id: string): { readonly of: string; readonly attempt: number } {
  const [, of = id, attempt = '1'] = /^(.*)\+(\d+)$/.exec(id) ?? [];
  return { of, attempt: Number(attempt) };
}
