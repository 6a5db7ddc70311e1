/** What a database answered, whichever library it came through: they wrap the error of the driver, and some keep its code only. */
import { isConnectionLost } from '../participant';

/** Whether it is an error of PostgreSQL with this SQLSTATE. */
export const hasSqlState = (error: unknown, sqlState: string): boolean =>
  causesOf(error).some((at) => {
    const { code, meta } = at as { code?: unknown; meta?: { code?: unknown } };
    return code === sqlState || meta?.code === sqlState;
  });

/** Whether the connection is gone, in the middle of whatever was done with it. */
export const hasLostConnection = (error: unknown): boolean => causesOf(error).some(isConnectionLost);

/** The error, and what caused it. */
function causesOf(error: unknown): readonly Error[] {
  const seen = new Set<Error>();
  for (let at = error; at instanceof Error && !seen.has(at); at = at.cause) seen.add(at);
  return [...seen];
}
