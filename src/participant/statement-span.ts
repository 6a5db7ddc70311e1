/** The statements that end or prepare a local transaction, as spans: what they wait for, a disk or a standby, is seen nowhere else. */
import { inSpan, SPAN_ATTRIBUTES } from '../observability';

/** What it came to, by the first word of its command tag. */
interface Tagged {
  readonly command: string;
}

/** @param name the words that the statement begins with, which are its span's name */
export const inStatementSpan = <T extends Tagged>(name: string, work: () => Promise<T>): Promise<T> =>
  inSpan(
    { name, kind: 'client', attributes: { [SPAN_ATTRIBUTES.database]: 'postgresql' } },
    work,
    // Where a statement had failed before, PostgreSQL raises nothing and says ROLLBACK (P3).
    ({ command }) => ({ outcome: command, failed: name !== ROLLBACK_PREPARED && command === 'ROLLBACK' }),
  );

const ROLLBACK_PREPARED = 'ROLLBACK PREPARED';
