/**
 * A reservation, from the participant's side: tried, and then confirmed or cancelled, each in one local transaction and each
 * once, whatever comes twice, late, or in the wrong order.
 *
 * The branch-log row is what the three meet at. A cancellation that comes first leaves a tombstone there, which refuses the try
 * when it comes (an empty cancellation, and no hanging try after it). Confirmed and cancelled exclude each other, because both
 * are the one transition away from `tried`, under the row's lock.
 *
 * No reservation ends by a clock: a confirmation may be on its way, so only a decision of the register ends one.
 *
 * @see Pardon, Pautasso: "Atomic Distributed Transactions: a RESTful Design", WWW 2014
 */
import type { Pool, PoolClient } from 'pg';
import { CircuitOpen } from '../resilience';
import { AbortCode, crashpoint } from '../protocol';
import type { Ack, BranchRequest, Decision, FinishRequest, PrepareAnswer, TryRequest } from '../protocol';
import { guarded, labelOf, PARTICIPANT_CIRCUIT, readInput, writeResult } from './branch';
import type { Branch } from './branch';
import { endMark, findBranch, findState, resultRecord } from './branch-log';
import type { BranchRow, BranchState } from './branch-log';
import { forbidBranch, inBranchTransaction } from './branch-transaction';
import { BranchInProgressError, InputMismatchError, RefusalError, UnsettledReservationError } from './errors';
import { branchLocksRelease } from './isolation/semantic-lock';
import { inLocalTransaction } from './local-transaction';
import type { LocalTransaction } from './local-transaction';
import { refusalOfOpen } from './not-attempted';
import { readDecision } from './register';
import { reservationDeletion, reservationInsertion } from './reservations';
import { withTx } from './tx';

/** A branch of an operation that reserves. */
export interface ReservableBranch extends Branch {
  /** Name of this participant. */
  readonly participant: string;
}

/** Reserves, and votes. @throws whatever a retry may cure: nothing was changed then */
export async function tryBranch(branch: ReservableBranch, request: TryRequest): Promise<PrepareAnswer> {
  try {
    const result = await guarded(branch, () => reserve(branch, request));
    await crashpoint('try.committed-before-vote');
    return { vote: 'commit', result };
  } catch (error) {
    if (error instanceof AlreadyLogged) return voteFromLog(branch, request);
    if (error instanceof RefusalError) return refuseForGood(branch, request, error);
    // Of something that it calls. Where the participant itself is away nothing can be stored, and it is asked again.
    if (error instanceof CircuitOpen && error.circuit !== PARTICIPANT_CIRCUIT)
      return refuseForGood(branch, request, refusalOfOpen(error));
    throw error;
  }
}

/** Not an error to anyone outside: it rolls the attempt back, and the log is asked instead. */
class AlreadyLogged extends Error {}

const reserve = (branch: ReservableBranch, request: TryRequest): Promise<unknown> =>
  inBranchTransaction(branch, request, 'tried', async (transaction, inserted) => {
    const { client } = transaction;
    const { name, operation, participant, caller, namespaceId, wakeRelays } = branch;
    branch.checkWithdrawn?.();
    if (!inserted) throw new AlreadyLogged();
    await crashpoint('try.logged-before-work');
    await checkUndecided(client, branch, request);
    const json = await withTx(client, request, wakeRelays, async (tx) =>
      writeResult(name, await operation.execute(tx, await readInput(operation, request.input))),
    );
    transaction.atEnd(resultRecord(request, json));
    const reservation = {
      ...request,
      operation: name,
      participant,
      ...(caller ? { caller } : {}),
      ...(namespaceId === undefined ? {} : { namespaceId }),
    };
    transaction.atEnd(reservationInsertion(reservation));
    branch.checkWithdrawn?.();
    return JSON.parse(json) as unknown;
  });

/** A coordinator that starts late, after somebody had its transaction cancelled, stops here. */
async function checkUndecided(
  client: PoolClient,
  { participant }: ReservableBranch,
  { register, transaction }: TryRequest,
): Promise<void> {
  if (register !== participant) return;
  if (await readDecision(client, transaction))
    throw new RefusalError({ code: AbortCode.DecidedBefore, message: 'It was decided before this branch was asked.' });
}

async function voteFromLog(branch: Branch, request: TryRequest): Promise<PrepareAnswer> {
  try {
    const row = await findBranch(branch.pool, branch.name, request);
    // Purged between the two statements: the next attempt runs as the first one.
    if (!row) throw new BranchInProgressError(request.transaction, request.branch);
    return voteOf(row);
  } catch (error) {
    if (!(error instanceof InputMismatchError)) throw error;
    return { vote: 'abort', reason: { code: AbortCode.InputMismatch, message: error.message } };
  }
}

function voteOf({ state, result, refusal }: BranchRow): PrepareAnswer {
  switch (state) {
    case 'tried':
    case 'confirmed':
      return { vote: 'commit', result };
    case 'refused':
      return { vote: 'abort', reason: refusal ?? { code: 'refused', message: 'The reason was not kept.' } };
    default:
      return { vote: 'abort', reason: { code: AbortCode.Fenced, message: 'It was cancelled before this try came.' } };
  }
}

/** In a transaction of its own, after the work was rolled back: another attempt may have come between, and then it counts. */
async function refuseForGood(branch: Branch, request: TryRequest, { refusal }: RefusalError): Promise<PrepareAnswer> {
  writeResult(branch.name, refusal);
  const stored = await forbidBranch(branch, request, 'refused', refusal);
  return stored ? { vote: 'abort', reason: refusal } : voteFromLog(branch, request);
}

/** Ends a reservation as decided. @throws whatever a retry may cure: nothing was changed then */
export async function endReservation(branch: Branch, request: Ending, decision: Decision): Promise<Ack> {
  try {
    const ack = await (decision === 'commit' ? confirm(branch, request) : cancel(branch, request));
    await crashpoint(decision === 'commit' ? 'confirm.committed-before-report' : 'cancel.committed-before-report');
    return ack;
  } catch (error) {
    if (error instanceof InputMismatchError) return { kind: 'foreign', evidence: error.message };
    throw error;
  }
}

export type Ending = BranchRequest & Pick<FinishRequest, 'wantsResult'>;

const confirm = (branch: Branch, request: Ending): Promise<Ack> =>
  inLocalTransaction(
    branch.pool,
    { timeouts: branch.timeouts, mode: 'read write', label: labelOf(request) },
    async (client, transaction) => {
      const row = await findBranch(client, branch.name, request, 'for update');
      if (!row) return LOST;
      const told: Ack = { kind: 'applied', ...(request.wantsResult ? { result: row.result } : {}) };
      switch (row.state) {
        case 'confirmed':
          return told;
        case 'tried':
          await settle(transaction, branch, request, row, 'confirm');
          transaction.atEnd(endMark(request, 'confirmed'));
          await crashpoint('confirm.before-commit');
          return told;
        default:
          return otherwise('abort', row.state);
      }
    },
  );

const cancel = (branch: Branch, request: Ending): Promise<Ack> =>
  inBranchTransaction(branch, request, 'fenced', async (transaction, inserted) => {
    if (inserted) return { kind: 'applied' };
    const row = await findBranch(transaction.client, branch.name, request, 'for update');
    // Purged between the two statements: the next attempt leaves the tombstone.
    if (!row) throw new BranchInProgressError(request.transaction, request.branch);
    switch (row.state) {
      case 'tried':
        await settle(transaction, branch, request, row, 'cancel');
        transaction.atEnd(endMark(request, 'cancelled'));
        await crashpoint('cancel.before-commit');
        return { kind: 'applied' };
      case 'confirmed':
        return otherwise('commit', row.state);
      default:
        return { kind: 'applied' };
    }
  });

/**
 * What became of a reservation whose record is gone, by its branch alone: its coordinator may have been faster, or a person.
 *
 * @throws {BranchInProgressError} when it stands all the same: it is not ended, and nobody may take it for that
 */
export async function endedBefore(
  pool: Pool,
  { transaction, branch }: Pick<BranchRequest, 'transaction' | 'branch'>,
  decision: Decision,
): Promise<Ack> {
  const state = await findState(pool, { transaction, branch });
  switch (state) {
    case 'tried':
      throw new BranchInProgressError(transaction, branch);
    case 'confirmed':
      return decision === 'commit' ? { kind: 'applied' } : otherwise('commit', state);
    case 'cancelled':
    case 'refused':
    case 'fenced':
      return decision === 'abort' ? { kind: 'applied' } : otherwise('abort', state);
    case undefined:
      return decision === 'abort' ? { kind: 'applied' } : LOST;
    case 'applied':
    case 'compensated':
      return { kind: 'foreign', evidence: `Its branch-log row says that it is ${state}: that is no reservation.` };
  }
}

const LOST: Ack = { kind: 'lost', evidence: 'Its branch-log row is gone, and with it what was reserved.' };

const otherwise = (took: Decision, state: BranchState): Ack => ({
  kind: 'heuristic',
  took,
  evidence: `Its branch-log row says that it is ${state}.`,
});

/** The operation's own part, and the end of the reservation's row and of what the branch has locked. */
async function settle(
  transaction: LocalTransaction,
  { name, operation, wakeRelays }: Branch,
  request: Ending,
  row: BranchRow,
  how: 'confirm' | 'cancel',
): Promise<void> {
  try {
    const input = await readInput(operation, request.input);
    await withTx(transaction.client, request, wakeRelays, async (tx) => operation[how]?.(tx, input, row.result));
  } catch (error) {
    // What was decided has to happen: a "no" that comes now is a mistake of the operation, and is retried until it is mended.
    if (error instanceof RefusalError) throw new UnsettledReservationError(name, how, error.message);
    throw error;
  }
  transaction.atEnd(...branchLocksRelease(request));
  transaction.atEnd(reservationDeletion(request));
}
