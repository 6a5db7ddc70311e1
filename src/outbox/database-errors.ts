/** What a database answered, whichever library it came through: they wrap the error of the driver, and some keep its code only. */
import { isDatabaseAway } from '../participant';

/** Whether it is an error of PostgreSQL with this SQLSTATE. */
export const hasSqlState = (error: unknown, sqlState: string): boolean =>
  causesOf(error).some((at) => {
    const { code, meta } = at as { code?: unknown; meta?: { code?: unknown } };
    return code === sqlState || meta?.code === sqlState;
  });

/** Idle in the transaction for too long: the server has closed the connection. */
const IDLE_TOO_LONG = '25P03';

/** Whether the database or the connection is gone: no fault of what was done with it. */
export const isConnectionLost = (error: unknown): boolean =>
  hasSqlState(error, IDLE_TOO_LONG) || causesOf(error).some(isDatabaseAway);

/** The error, and what caused it. */
function causesOf(error: unknown): readonly Error[] {
  const seen = new Set<Error>();
  for (let at = error; at instanceof Error && !seen.has(at); at = at.cause) seen.add(at);
  return [...seen];
}
