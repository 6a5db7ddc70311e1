/**
 * A check of the doctor: what it found, and what to do about it. Every check ends: one that gets no answer in time has not been
 * made, and says so, because silence is no good news.
 */

export type Result =
  | { readonly status: 'ok'; readonly found: string }
  /** `problem`: transactions fail, or are not safe. `warning`: they work, and something else should be otherwise. */
  | { readonly status: 'warning' | 'problem'; readonly found: string; readonly remedy: string }
  | { readonly status: 'not checked'; readonly found: string };

export type Checked = Result & {
  /** `Temporal`, `all participants`, or the name of a participant. */
  readonly subject: string;
  readonly check: string;
};

export const ok = (found: string): Result => ({ status: 'ok', found });
export const warning = (found: string, remedy: string): Result => ({ status: 'warning', found, remedy });
export const problem = (found: string, remedy: string): Result => ({ status: 'problem', found, remedy });
export const notChecked = (found: string): Result => ({ status: 'not checked', found });

/** A check before it is made. */
export interface Check<Facts> {
  readonly name: string;
  readonly look: (facts: Facts) => Promise<Result>;
}

export interface Making<Facts> {
  readonly subject: string;
  readonly facts: Facts;
  readonly timeoutMs: number;
  /** Puts a failure into words that hold no secret. */
  readonly tell: (error: unknown) => string;
}

/** Makes a check, and waits no longer than it may take. */
export async function make<Facts>(
  { name, look }: Check<Facts>,
  { subject, facts, timeoutMs, tell }: Making<Facts>,
): Promise<Checked> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<Result>((resolve) => {
    timer = setTimeout(() => resolve(notChecked(`No answer within ${timeoutMs / 1_000} s.`)), timeoutMs);
  });
  const looked = look(facts).catch((error: unknown) => notChecked(tell(error)));
  const result = await Promise.race([looked, tooLate]).finally(() => clearTimeout(timer));
  return { subject, check: name, ...result };
}

/** All of them, for one reason. */
export const noneOf = (checks: readonly { readonly name: string }[], subject: string, why: string): Checked[] =>
  checks.map(({ name }) => ({ subject, check: name, ...notChecked(why) }));
