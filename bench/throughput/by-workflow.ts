/** How callers of everything that Temporal runs make a transfer. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ServiceError } from '@temporalio/client';
import { TransactionAborted } from '../../src/client';
import type { TransactionClient } from '../../src/client';
import type { MakeTransfer } from './callers';
import type { HeldTransfer } from './workflows';

/** A server that is busy with a thousand callers may leave one of them without an answer. They wait; others do that too. */
export const PATIENCE_MS = 120_000;
const AGAIN_MS = 200;

/** By a workflow of this package. */
export const by =
  (transactions: TransactionClient, workflow: string): MakeTransfer =>
  async ({ id, transfer, holdMs }) => {
    try {
      await insist(() => transactions.execute<HeldTransfer, number>(workflow, { id, input: { ...transfer, holdMs } }));
      return true;
    } catch (error) {
      if (error instanceof TransactionAborted) return false;
      throw error;
    }
  };

/** Asks until there is an answer: with the same id nothing is done twice. */
export async function insist(ask: () => Promise<unknown>): Promise<void> {
  for (; ; await sleep(AGAIN_MS))
    try {
      await ask();
      return;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
    }
}
