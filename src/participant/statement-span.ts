/** The statements that end or prepare a local transaction, as spans: what they wait for, a disk or a standby, is seen nowhere else. */
import type { QueryResult } from 'pg';
import { inSpan, SPAN_ATTRIBUTES } from '../observability';

/** @param name the words that the statement begins with, which are its span's name */
export const inStatementSpan = (name: string, work: () => Promise<QueryResult>): Promise<QueryResult> =>
  inSpan(
    { name, kind: 'client', attributes: { [SPAN_ATTRIBUTES.database]: 'postgresql' } },
    work,
    // Where a statement had failed before, PostgreSQL raises nothing and says ROLLBACK (P3).
    ({ command }) => ({ outcome: command, failed: name !== ROLLBACK_PREPARED && command === 'ROLLBACK' }),
  );

const ROLLBACK_PREPARED = 'ROLLBACK PREPARED';
