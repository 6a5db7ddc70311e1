/** What a database answered, whichever library it came through: they wrap the error of the driver, and some keep its code only. */

/** Whether it is an error of PostgreSQL with this SQLSTATE. */
export function hasSqlState(error: unknown, sqlState: string): boolean {
  const seen = new Set<unknown>();
  for (let at: unknown = error; at instanceof Error && !seen.has(at);) {
    seen.add(at);
    const { code, meta, cause } = at as { code?: unknown; meta?: { code?: unknown }; cause?: unknown };
    if (code === sqlState || meta?.code === sqlState) return true;
    at = cause;
  }
  return false;
}
