/**
 * Tells the metrics of transactions that have ended in a group. Those that end alike are counted together: each value that leaves a workflow
 * for the metrics travels with all that is known of the workflow, and is handled by itself.
 */
import type { TransactionReport } from '../../protocol';
import { countTransactions, measureEnded } from '../board';

/** How a transaction ended, and after how long. */
export interface Ending {
  readonly report: TransactionReport;
  readonly tookMs: number;
}

export function tellEndings(endings: readonly Ending[]): void {
  const alike = new Map<string, { readonly report: TransactionReport; count: number }>();
  for (const { report, tookMs } of endings) {
    measureEnded(report, tookMs);
    const key = `${report.protocol} ${report.outcome}`;
    const known = alike.get(key);
    if (known) known.count++;
    else alike.set(key, { report, count: 1 });
  }
  for (const { report, count } of alike.values()) countTransactions(report, count);
}
