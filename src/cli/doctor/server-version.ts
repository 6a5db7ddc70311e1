/** Which versions of Temporal and of PostgreSQL will do. */
import { ok, problem, warning } from './check';
import type { Result } from './check';

/** Anyone who may write to one namespace of these can signal, reset and delete in others. */
const AFFECTED = [
  { from: [0, 0, 0], to: [1, 29, 4], fixed: '1.29.5' },
  { from: [1, 30, 0], to: [1, 30, 2], fixed: '1.30.3' },
] as const;
const VULNERABILITIES = 'CVE-2026-5199, CVE-2025-14987, CVE-2025-14986';
const OLDEST_TRIED = [1, 29, 0] as const;

/** What to think of a version of Temporal, as its server names it. */
export function judgeTemporalVersion(text: string): Result {
  const version = /^v?(\d+)\.(\d+)\.(\d+)/.exec(text)?.slice(1).map(Number);
  if (version === undefined)
    return warning(`The server calls itself ${JSON.stringify(text)}.`, 'Compare it with 1.29.5.');
  const affected = AFFECTED.find(({ from, to }) => compare(version, from) >= 0 && compare(version, to) <= 0);
  if (affected === undefined) return ok(`Version ${text}.`);
  const untried =
    compare(version, OLDEST_TRIED) < 0 ? ' It is also older than any that this package was tried with.' : '';
  return problem(
    `Version ${text}: who may write to one namespace can signal, reset and delete workflows of others (${VULNERABILITIES}).${untried}`,
    `Update the server to ${affected.fixed} or newer.`,
  );
}

function compare(a: readonly number[], b: readonly number[]): number {
  const i = a.findIndex((part, at) => part !== b[at]);
  return i < 0 ? 0 : (a[i] ?? 0) - (b[i] ?? 0);
}

/** The branch log keeps 64-bit transaction ids (`xid8`), which PostgreSQL has had since then. */
const OLDEST_POSTGRES = 13;

/** What to think of a version of PostgreSQL. @param num `server_version_num` */
export function judgePostgresVersion(num: number, text: string): Result {
  return Math.floor(num / 10_000) >= OLDEST_POSTGRES
    ? ok(`PostgreSQL ${text}.`)
    : problem(
        `PostgreSQL ${text} lacks the type xid8, which the branch log needs.`,
        `Upgrade to ${OLDEST_POSTGRES} or newer.`,
      );
}
