/** The statements that end or prepare a local transaction, as spans: what they wait for, a disk or a standby, is seen nowhere else. */
import { inSpan, SPAN_ATTRIBUTES } from '../observability';

/** What it came to, by the first word of its command tag. */
interface Tagged {
  readonly command: string;
}

/** What a statement came to, or the last one of several that were sent together. */
export const commandOf = (result: Tagged | readonly Tagged[]): string =>
  'command' in result ? result.command : (result.at(-1)?.command ?? '');

/** @param name the words that the statement begins with, or the last one of several; they are its span's name */
export const inStatementSpan = <T extends Tagged | readonly Tagged[]>(
  name: string,
  work: () => Promise<T>,
): Promise<T> =>
  inSpan(
    { name, kind: 'client', attributes: { [SPAN_ATTRIBUTES.database]: 'postgresql' } },
    work,
    // Where a statement had failed before, PostgreSQL raises nothing and says ROLLBACK (P3).
    (result) => {
      const command = commandOf(result);
      return { outcome: command, failed: name !== ROLLBACK_PREPARED && command === 'ROLLBACK' };
    },
  );

const ROLLBACK_PREPARED = 'ROLLBACK PREPARED';
