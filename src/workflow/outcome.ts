/** What a transaction of atomic commitment comes to for the code that waits for it. */
import type { SettledCommitReport } from '../protocol';
import { TransactionAborted, TransactionMixed } from './errors';

/** @throws {TransactionAborted} {TransactionMixed} when it has not committed */
export function resultsOf<R>(report: SettledCommitReport<SettledCommitReport['protocol'], R>): R {
  switch (report.outcome) {
    case 'committed':
      return report.results;
    case 'aborted':
      throw new TransactionAborted(report);
    case 'mixed':
      throw new TransactionMixed(report);
  }
}
