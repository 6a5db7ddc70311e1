/**
 * Counts the transactions of a group that have ended, those that end alike together: each value that leaves a workflow for the metrics
 * travels with all that is known of the workflow, and is handled by itself.
 */
import type { TransactionReport } from '../../protocol';
import { countTransactions } from '../board';

export class Tally {
  readonly #ended = new Map<string, { readonly report: TransactionReport; count: number }>();

  add(report: TransactionReport): void {
    const alike = `${report.protocol} ${report.outcome}`;
    const known = this.#ended.get(alike);
    if (known) known.count++;
    else this.#ended.set(alike, { report, count: 1 });
  }

  /** Tells what has been counted since it last did. */
  tell(): void {
    for (const { report, count } of this.#ended.values()) countTransactions(report, count);
    this.#ended.clear();
  }
}
