/**
 * Try-confirm-cancel: every branch reserves in a local transaction of its own, and when all of them have, all are confirmed; if
 * one cannot, all are cancelled. Nothing is locked between the two, so they may lie days apart.
 *
 * What becomes of the reservations is decided once, in the database of the first branch, as in two-phase commit: no participant
 * lets one expire by its own clock, because a confirmation may be on its way.
 *
 * @see Pardon, Pautasso: "Atomic Distributed Transactions: a RESTful Design", WWW 2014; Helland: "Life beyond Distributed
 * Transactions", CIDR 2007
 */
import type { Reservation, SettledCommitReport } from '../protocol';
import type { ResultsOf } from './branches';
import { CommitRun } from './commit-run';
import { heard, inTransaction, onRecordInGroup } from './context';
import { TransactionDefinitionError } from './errors';
import { resultsOf } from './outcome';
import { reservingPhases, reservingSettings } from './reserving';
import type { TryConfirmCancelOptions } from './reserving';

function run<const Reservations extends readonly Reservation[]>(
  reservations: Reservations,
  options: TryConfirmCancelOptions<ResultsOf<Reservations>> = {},
): Promise<ResultsOf<Reservations>> {
  return onRecordInGroup(settle(reservations, options).then(heard(resultsOf)));
}

function settle<const Reservations extends readonly Reservation[]>(
  reservations: Reservations,
  options: TryConfirmCancelOptions<ResultsOf<Reservations>> = {},
): Promise<SettledCommitReport<'try-confirm-cancel', ResultsOf<Reservations>>> {
  return onRecordInGroup(begin(reservations, options));
}

async function begin<const Reservations extends readonly Reservation[]>(
  reservations: Reservations,
  options: TryConfirmCancelOptions<ResultsOf<Reservations>>,
): Promise<SettledCommitReport<'try-confirm-cancel', ResultsOf<Reservations>>> {
  const settings = reservingSettings(options);
  // Callers in JavaScript can pass anything.
  const other = reservations.find(({ reserves }) => (reserves as unknown) !== true);
  if (other)
    throw new TransactionDefinitionError(
      `Nothing was started: ${other.participant}.${other.operation} is not a reservation(), as all branches have to be here.`,
    );
  const report = await inTransaction({ id: options.id, protocol: 'try-confirm-cancel' }, (context) =>
    new CommitRun(context, reservations, settings, reservingPhases(settings.hold)).settle(),
  );
  // Cast: results come in the order of the reservations.
  return report as SettledCommitReport<'try-confirm-cancel', ResultsOf<Reservations>>;
}

/**
 * Reserves at several participants, and confirms all of it or cancels all of it.
 *
 * A cancellation of the workflow cancels what is reserved, unless the decision to confirm has been made.
 *
 * @param reservations at most 64; see {@link reservation}
 * @param options `hold`: how long all may stay reserved, and for what; without it they are confirmed at once
 * @returns what the tries returned, in the order of the reservations
 * @throws {TransactionAborted} when nothing stays reserved: one was refused, did not answer, or the hold ended otherwise
 * @throws {TransactionMixed} {TransactionDefinitionError} as `twoPhaseCommit` does
 * @example
 * const [seat, room] = await tryConfirmCancel(
 *   [reservation(airline.seat, { flight }), reservation(hotel.room, { nights: 3 })],
 *   { hold: { limit: '15 minutes', until: () => condition(() => paid !== undefined).then(() => paid === true) } },
 * );
 */
export const tryConfirmCancel = Object.assign(run, { settle });
