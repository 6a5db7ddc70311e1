/** What scenes are made of: the stage, transfers, kills, and waiting for something to be seen. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TransactionFailed } from 'temporal-txn/client';
import type { TransactionHandle, TransactionReport } from 'temporal-txn/client';
import { listPrepared } from 'temporal-txn/participant';
import type { AccountRef, Transfer } from '../workflows/bank-transfer';
import type { CrashpointName } from '../src/protocol';
import type { CrashOrder } from '../src/testing';
import type { Shop } from './shop';

export interface Stage extends Shop {
  /** Makes the ids of this run different from those of the runs before. */
  readonly run: string;
  /** Tells the audience what happens. */
  readonly say: (line: string) => void;
}

export interface Outcome {
  readonly outcome: string;
  readonly why: string;
}

export interface Scene {
  /** Also the end of the transaction id. */
  readonly name: string;
  readonly story: string;
  /** How the transaction must end, and why. */
  readonly expect: 'committed' | 'compensated' | 'aborted';
  readonly because: string;
  readonly play: (stage: Stage, id: string) => Promise<TransactionHandle>;
  /** How it ended, where the workflow itself cannot tell. */
  readonly outcome?: (stage: Stage, id: string) => Promise<Outcome>;
}

export const north = (account: string): AccountRef => ({ bank: 'north-bank', account });
export const south = (account: string): AccountRef => ({ bank: 'south-bank', account });
export const euros = (from: AccountRef, to: AccountRef, amount: number): Transfer => ({
  from,
  to,
  amount: amount * 100,
  currency: 'EUR',
});

export const transfer =
  (
    input: Transfer,
    workflow: 'transferMoney' | 'transferMoneyAtomically' | 'transferMoneyInThreePhases' = 'transferMoney',
  ) =>
  ({ transactions }: Stage, id: string): Promise<TransactionHandle> =>
    transactions.start(workflow, { id, input });

/** It is killed at the first passage of a crash point. */
export const killAt = (at: CrashpointName): readonly CrashOrder[] => [{ at, action: { kind: 'kill' } }];

const PATIENCE_MS = 90_000;

/** Waits for something to be so. */
export async function until(what: string, reached: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await sleep(100)) if (await reached()) return;
  throw new Error(`Waited ${PATIENCE_MS / 1000} s until ${what}, in vain.`);
}

/** Waits until a saga reports something. */
export const untilReport = (
  handle: TransactionHandle,
  what: string,
  reached: (report: Extract<TransactionReport, { protocol: 'saga' }>) => boolean,
): Promise<void> =>
  until(`${handle.id}: ${what}`, async () => {
    const [report] = await handle.reports<'saga'>();
    return report !== undefined && reached(report);
  });

/** How many transactions are prepared in the databases of a transfer; with `pre-committed`, how many of them are that. */
export async function prepared({ databases, stack }: Stage, which: 'all' | 'pre-committed' = 'all'): Promise<number> {
  const services = ['north-bank', 'south-bank', 'audit'] as const;
  const { namespace } = stack.temporal;
  const lists = await Promise.all(
    services.map((participant) => listPrepared(databases[participant], { participant, namespace })),
  );
  return lists.flat().filter(({ branch }) => which === 'all' || branch?.preCommitted).length;
}

/** Waits for the end and says how it came. */
export async function outcomeOf(handle: TransactionHandle): Promise<Outcome> {
  try {
    await handle.result();
    return { outcome: 'committed', why: '' };
  } catch (error) {
    if (!(error instanceof TransactionFailed) || error.report === undefined) throw error;
    return { outcome: error.report.outcome, why: whyOf(await innermost(handle, error.report)) };
  }
}

/** Where a step is a transaction of its own, and was aborted, that one knows the reason. */
async function innermost(handle: TransactionHandle, report: TransactionReport): Promise<TransactionReport> {
  const reports = await handle.reports();
  return reports.find(({ outcome }) => outcome === 'aborted') ?? report;
}

function whyOf(report: TransactionReport): string {
  const cause = 'cause' in report ? report.cause : undefined;
  const reason = cause && ('reason' in cause ? cause.reason : cause.refusal);
  const failed = report.protocol === 'saga' && report.steps.find(({ branch }) => branch === cause?.branch);
  if (cause?.kind === 'failed' && failed && failed.fate.kind === 'unknown') return 'unknown outcome';
  return reason?.code ?? cause?.kind ?? '';
}
