/**
 * Runs a branch once, however often it is asked for.
 *
 * The branch-log row is inserted first, in the transaction of the work, so it exists exactly when the work is committed, and
 * a second attempt blocks on its key until the first has ended. A refusal is committed too: an attempt that was given up
 * for dead, but is only slow, then finds the key taken and cannot do what the caller was told would not happen.
 */
import type { PoolClient } from 'pg';
import { CircuitOpen } from '../resilience';
import { crashpoint } from '../protocol';
import type { BranchRequest, ExecuteAnswer } from '../protocol';
import { guarded, labelOf, readInput, writeResult } from './branch';
import type { Branch } from './branch';
import { doneBy, findBranch, resultRecord } from './branch-log';
import { forbidBranch, inBranchTransaction } from './branch-transaction';
import { BranchFencedError, BranchInProgressError, RefusalError } from './errors';
import { inLocalTransaction } from './local-transaction';
import { refusalOfOpen } from './not-attempted';
import { withTx } from './tx';

/**
 * @throws {RefusalError} now or, stored, from an earlier attempt
 * @throws {BranchFencedError} when the branch was compensated or given up before
 * @throws {InputMismatchError} when the branch exists with another input
 */
export async function execute(branch: Branch, request: BranchRequest): Promise<ExecuteAnswer> {
  const readOnly = branch.operation.kind === 'read-only';
  try {
    return await guarded(branch, () => (readOnly ? read(branch, request) : apply(branch, request)));
  } catch (error) {
    if (error instanceof AlreadyLogged) return answerFromLog(branch, request);
    const refused = error instanceof CircuitOpen && request.failFast ? refusalOfOpen(error) : error;
    if (refused instanceof RefusalError && !readOnly) return storeRefusal(branch, request, refused);
    throw refused;
  }
}

/** Not an error to anyone outside: it rolls the attempt back, and the log is asked instead. */
class AlreadyLogged extends Error {}

const apply = (branch: Branch, request: BranchRequest): Promise<ExecuteAnswer> =>
  inBranchTransaction(branch, request, 'applied', async (transaction, inserted) => {
    branch.checkWithdrawn?.();
    if (!inserted) throw new AlreadyLogged();
    await crashpoint('branch.logged-before-work');
    const { json, holdsLocks } = await work(transaction.client, branch, request);
    transaction.atEnd(resultRecord(request, json));
    await crashpoint('branch.before-commit');
    branch.checkWithdrawn?.();
    return { answer: 'applied', result: JSON.parse(json) as unknown, ...(holdsLocks ? { locks: true } : {}) };
  });

const read = (branch: Branch, request: BranchRequest): Promise<ExecuteAnswer> =>
  inLocalTransaction(
    branch.pool,
    { timeouts: branch.timeouts, mode: 'read only', label: labelOf(request) },
    async (client) => {
      const { json } = await work(client, branch, request);
      return { answer: 'read-only', result: JSON.parse(json) as unknown };
    },
  );

/** The operation itself, and its result as it is stored and told. */
const work = (
  client: PoolClient,
  { name, operation, wakeRelays }: Branch,
  request: BranchRequest,
): Promise<{ json: string; holdsLocks: boolean }> =>
  withTx(client, request, wakeRelays, async (tx) => {
    const json = writeResult(name, await operation.execute(tx, await readInput(operation, request.input)));
    return { json, holdsLocks: tx.holdsLocks };
  });

async function answerFromLog(branch: Branch, request: BranchRequest): Promise<ExecuteAnswer> {
  const row = await findBranch(branch.pool, branch.name, request);
  // Purged between the two statements: the next attempt runs as the first one.
  if (!row) throw new BranchInProgressError(request.transaction, request.branch);
  switch (row.state) {
    case 'applied':
      return {
        answer: 'applied-before',
        result: row.result,
        ...(row.holdsLocks ? { locks: true } : {}),
        ...doneBy(branch.caller, request, row),
      };
    case 'refused':
      throw new RefusalError(row.refusal ?? { code: 'refused', message: 'The reason was not kept.' });
    default:
      throw new BranchFencedError(request.transaction, request.branch);
  }
}

/** Its own transaction, after the work was rolled back: another attempt may have come between, and then its answer counts. */
async function storeRefusal(branch: Branch, request: BranchRequest, error: RefusalError): Promise<ExecuteAnswer> {
  // A refusal that cannot be stored or told could never become final: it is a mistake of the operation.
  writeResult(branch.name, error.refusal);
  if (await forbidBranch(branch, request, 'refused', error.refusal)) throw error;
  return answerFromLog(branch, request);
}
