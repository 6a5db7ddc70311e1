/** How a statement is known again in another run: without the names of prepared transactions, labels and white space. */
import type { Place, Spot } from './plans';

const ID = '<id>';

/** Sent once for each session, by whoever finishes the first branch on it: in another run that is somebody else. */
const ONCE_A_SESSION = /set_config\('statement_timeout', '0', false\)/;

/** The statements that a place has sent, each with its number among the same ones. */
export function spotsIn(seen: readonly string[], at: Place, transaction: string): Spot[] {
  const counts = new Map<string, number>();
  const each = seen.filter((text) => !ONCE_A_SESSION.test(text));
  return each.map((text) => {
    const statement = normal(text, transaction);
    const occurrence = (counts.get(statement) ?? 0) + 1;
    counts.set(statement, occurrence);
    return { at, statement, occurrence };
  });
}

/** The statement without what differs from run to run. */
function normal(statement: string, transaction: string): string {
  return statement
    .replaceAll(/'txn1_[^']*'/g, `'${ID}'`)
    .replaceAll(transaction, ID)
    .replaceAll(/\s+/g, ' ')
    .trim();
}

/** Matches it in whichever run. */
export function patternOf(statement: string): RegExp {
  const escaped = statement
    .replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)
    .replaceAll(ID, `[^']*`)
    .replaceAll(' ', String.raw`\s+`);
  return new RegExp(`^\\s*${escaped}\\s*$`);
}
