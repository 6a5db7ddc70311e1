/**
 * The errors of the participant room. Each says first whether anything was changed, then what was wrong, then what to do.
 * What crosses to the coordinator is made of them in `failures.ts`.
 */
import { MOST_LEVELS, show } from '../protocol';
import type { BranchId, Refusal, TransactionId } from '../protocol';

/** A business "no". Thrown by {@link refuse}; final for its branch. */
export class RefusalError extends Error {
  override readonly name = 'RefusalError';

  constructor(readonly refusal: Refusal) {
    super(`${refusal.code}: ${refusal.message}`);
  }
}

/** The branch was compensated or given up before this action came. */
export class BranchFencedError extends Error {
  override readonly name = 'BranchFencedError';

  constructor(transaction: TransactionId, branch: BranchId) {
    super(
      `Nothing was changed: branch ${branch} of ${transaction} was compensated or given up before this action came. ` +
        'It can never take effect any more. Start a new transaction under a new id.',
    );
  }
}

/** A branch or transaction exists with another operation or input. */
export class InputMismatchError extends Error {
  override readonly name = 'InputMismatchError';

  constructor(transaction: TransactionId, branch: BranchId, what: 'operation' | 'input' | 'transaction input') {
    super(
      `Nothing was changed: branch ${branch} of ${transaction} exists with another ${what}. ` +
        'A transaction id names one business operation: use a new id for a new one. If the workflow code changed, give its ' +
        'steps stable ids.',
    );
  }
}

/** An input is nested so deep that nothing could be done with it, least of all undone. */
export class InputTooDeepError extends Error {
  override readonly name = 'InputTooDeepError';

  constructor(transaction: TransactionId, branch: BranchId) {
    super(
      `Nothing was changed: the input of branch ${branch} of ${transaction} is nested more than ${MOST_LEVELS} levels deep. ` +
        'Send what the operation needs of it.',
    );
  }
}

/** Another attempt of the same branch is under way and did not end within the lock timeout. Retried. */
export class BranchInProgressError extends Error {
  override readonly name = 'BranchInProgressError';

  constructor(transaction: TransactionId, branch: BranchId, trouble?: string) {
    super(
      trouble === undefined
        ? `Nothing was changed: another attempt of branch ${branch} of ${transaction} is still running. It is tried again.`
        : `Nothing was changed: branch ${branch} of ${transaction} could not be prepared. ${trouble}. It is tried again.`,
    );
  }
}

/** Somebody else did what is to be undone, and may have told a caller that it is done. Not an error to anyone outside. */
export class DoneByAnotherError extends Error {
  override readonly name = 'DoneByAnotherError';

  constructor(
    /** A group, another workflow, or another run of the one that asks. */
    readonly doer: { readonly workflowId: string; readonly runId?: string },
  ) {
    super(`Nothing was changed: it was done by ${doer.workflowId}.`);
  }
}

/** The workflow that did what is to be undone has not ended, and may yet tell its caller that it is done. Retried. */
export class DoerRunningError extends Error {
  override readonly name = 'DoerRunningError';

  constructor(transaction: TransactionId, branch: BranchId, doer: string) {
    super(
      `Nothing was changed: branch ${branch} of ${transaction} was done by ${doer}, which is still running. It is tried again.`,
    );
  }
}

/** What is to be undone was committed by a group, as far as anybody can tell. */
export class CommittedByGroupError extends Error {
  override readonly name = 'CommittedByGroupError';

  constructor(transaction: TransactionId, group: string, known: 'committed' | 'unknown') {
    super(
      `Nothing was changed: ${
        known === 'committed'
          ? `${transaction} was committed by ${group}, whose caller was told so`
          : `${transaction} was begun by ${group}, which Temporal does not know any more, and may have been committed`
      }. The same id was given twice. Look what is in the databases, and let the effect stay with skipStep.`,
    );
  }
}

/** What is to be undone was done by another run, of the same workflow or another one, which was not interrupted, as far as anybody can tell. */
export class CommittedEarlierError extends Error {
  override readonly name = 'CommittedEarlierError';

  constructor(transaction: TransactionId, run: string, status: string) {
    super(
      `Nothing was changed: ${
        status === 'unknown'
          ? `${transaction} was begun by ${run}, which Temporal does not know any more, and may have been committed`
          : `${transaction} was begun by ${run}, which is ${status}, and may have told its caller that it was committed`
      }. The same id was given again, or its workflow was reset. Look what is in the databases, and let the effect stay with skipStep, or put it right by hand and say so with resolve.`,
    );
  }
}

/** Another transaction holds a semantic lock. Retried. */
export class ResourceLockedError extends Error {
  override readonly name = 'ResourceLockedError';

  constructor(
    readonly resource: string,
    readonly owner: string,
  ) {
    super(
      `Nothing was changed: ${show(resource)} is locked by transaction ${owner} until that one completes or is compensated. ` +
        'The step is tried again until its timeout.',
    );
  }
}

/** A statement that an operation may not use, because it would end or leak its transaction. */
export class ForbiddenStatementError extends Error {
  override readonly name = 'ForbiddenStatementError';

  constructor(statement: string, why: string) {
    super(`Nothing was changed: an operation may not run ${statement}. ${why}`);
  }
}

/** A text is not the name of a prepared transaction of this package. */
export class InvalidGidError extends Error {
  override readonly name = 'InvalidGidError';

  constructor(shown: string) {
    super(
      `Nothing was changed: ${shown} is not a prepared transaction of this package. Theirs begin with txn1_; copy one from the list of in-doubt branches.`,
    );
  }
}

/** A gid names another participant than the one that was asked. */
export class PreparedElsewhereError extends Error {
  override readonly name = 'PreparedElsewhereError';

  constructor(gid: string, participant: string, asked: string) {
    super(`Nothing was changed: ${gid} is prepared at participant ${participant}, and ${asked} was asked.`);
  }
}

/** A group was reset, and asks again beside the workflows that went on with what it had handed over. */
export class GroupResetError extends Error {
  override readonly name = 'GroupResetError';

  constructor(group: string) {
    super(
      `Nothing was changed: ${group} was reset, and workflows of their own may be at work on its transactions. All of them go on so, under their ids.`,
    );
  }
}

/** The server prepares no transactions. */
export class PreparedTransactionsDisabledError extends Error {
  override readonly name = 'PreparedTransactionsDisabledError';

  constructor(participant: string) {
    super(
      `Nothing was started: participant '${participant}': PREPARE TRANSACTION is disabled (max_prepared_transactions = 0). ` +
        'Set it to at least as many as there are connections, and restart PostgreSQL; or run the participant with twoPhaseCommit: false, for sagas and try-confirm-cancel.',
    );
  }
}

/** The register holds the decision of another operation under this transaction id. */
export class DecisionMismatchError extends Error {
  override readonly name = 'DecisionMismatchError';

  constructor(transaction: TransactionId) {
    super(
      `Nothing was changed: transaction ${transaction} was decided for another input. ` +
        'A transaction id names one business operation: use a new id for a new one.',
    );
  }
}

/** `execute` returned what JSON cannot hold or a Temporal payload cannot carry. */
export class InvalidResultError extends Error {
  override readonly name = 'InvalidResultError';

  constructor(operation: string, why: string) {
    super(`Nothing was changed: the result of ${operation} ${why}. Return a smaller, plain JSON value.`);
  }
}

/** An operation was asked to undo itself and has no `compensate`. */
export class NotCompensatableError extends Error {
  override readonly name = 'NotCompensatableError';

  constructor(operation: string) {
    super(
      `Nothing was changed: ${operation} has no compensate, so its effect stays. ` +
        'Use it as pivot or retriable step, give it a compensate, or settle the step with skipStep or resolve.',
    );
  }
}

/** A database would be reached over a network in plain text, or without looking who answers. */
export class InsecureDatabaseConnectionError extends Error {
  override readonly name = 'InsecureDatabaseConnectionError';

  constructor(
    /** The participant. */
    readonly whose: string,
    readonly host: string,
    readonly by: 'plain text' | 'an unverified certificate',
  ) {
    super(
      `Nothing was started: the database of ${whose} at ${show(host)} is not on this machine and would be reached ` +
        (by === 'plain text'
          ? 'in plain text, so anyone on the network could read and change what is sent. '
          : 'without verifying its certificate, so anyone on the network could take its place. ') +
        'Add sslmode=verify-full and sslrootcert=<file> to the connection string, or ssl: { ca } to the settings, and leave out ' +
        'NODE_TLS_REJECT_UNAUTHORIZED=0; or set TXN_ALLOW_INSECURE=1 (or TXN_ALLOW_INSECURE=postgresql) for a private network.',
    );
  }
}

/** A database is a standby: it takes no writes, and does not show what is prepared. */
export class StandbyError extends Error {
  override readonly name = 'StandbyError';

  constructor(participant: string) {
    super(
      `Nothing was started: the database of ${participant} is a standby, which takes no writes (SQLSTATE 25006). Name the primary in the connection string.`,
    );
  }
}

/** A right that a role lacks. */
export interface MissingRight {
  readonly table: string;
  readonly privilege: string;
  /** Whether the table is there. */
  readonly there: boolean;
}

/** The role that workers log in as may not do what they have to. */
export class MissingRightsError extends Error {
  override readonly name = 'MissingRightsError';

  constructor(
    participant: string,
    readonly role: string,
    /** None where it may not even use the schema. */
    readonly missing: readonly MissingRight[],
  ) {
    const tables = [...new Set(missing.map(({ table }) => table))];
    const lacks = tables.map(
      (table) =>
        `${missing
          .filter((one) => one.table === table)
          .map(({ privilege }) => privilege)
          .join(', ')} on txn.${table}`,
    );
    super(
      `Nothing was started: in the database of ${participant}, role ${show(role)} lacks ${lacks.join('; ') || 'usage of schema txn'}. ` +
        `Grant it with the role that owns the schema: grantWorker(pool, ${show(role)}).`,
    );
  }
}

/** Tables of schema txn are gone although the schema has the right version. */
export class MissingTableError extends Error {
  override readonly name = 'MissingTableError';

  constructor(
    participant: string,
    readonly tables: readonly string[],
  ) {
    super(
      `Nothing was started: in the database of ${participant}, ${tables.map((table) => `txn.${table}`).join(', ')} is missing although the schema has ` +
        'the right version, so somebody has removed it. Restore it from a backup: what it held keeps branches from taking effect twice.',
    );
  }
}

/** The settings of a database cannot be read. They are not shown: they hold a password. */
export class InvalidDatabaseSettingsError extends Error {
  override readonly name = 'InvalidDatabaseSettingsError';

  constructor(whose: string, code: string | undefined, file: string | undefined) {
    super(
      file === undefined
        ? `Nothing was started: the connection settings of the database of ${whose} cannot be used${code === undefined ? '' : ` (${code})`}. Use a ` +
            'connection string such as postgresql://user:password@host:5432/database; in user and password, write characters such as @ : / ? # % percent-encoded.'
        : `Nothing was started: ${show(file)}, a certificate or key for the database of ${whose}, cannot be read (${code ?? 'unknown error'}).`,
    );
  }
}

/** A migration waits for what other transactions hold: prepared ones end only when somebody finishes them. */
export class MigrationBlockedError extends Error {
  override readonly name = 'MigrationBlockedError';

  constructor(
    readonly version: number,
    migration: string,
  ) {
    super(
      `Nothing was changed: migration ${version} (${migration}) waited 10 s for transactions that use the tables. ` +
        'See whether prepared ones are among them (temporal-txn in-doubt) and let the workers of the former version finish them; then migrate again.',
    );
  }
}

/** The schema `txn` is missing or not the one that this version of the package needs. */
export class SchemaVersionError extends Error {
  override readonly name = 'SchemaVersionError';

  constructor(
    readonly found: number,
    readonly needed: number,
  ) {
    super(
      `Nothing was started: the schema "txn" is at version ${found}, this package needs ${needed}. ` +
        (found < needed ? 'Run migrate(pool) with a role that may create tables.' : 'Deploy the newer package.'),
    );
  }
}

/** A statement had failed, its error was caught, and the transaction went on although nothing of it could be committed. */
export class SwallowedFailureError extends Error {
  override readonly name = 'SwallowedFailureError';

  constructor() {
    super(
      'Nothing was changed: a statement had failed and its error was caught, and of such a transaction PostgreSQL commits ' +
        'nothing. Let database errors leave the operation, or wrap the statement in a savepoint.',
    );
  }
}

/** The database was asked and has not answered for too long, so the connection was cut. Retried. */
export class DatabaseSilentError extends Error {
  override readonly name = 'DatabaseSilentError';

  constructor(limitMs: number) {
    super(
      `Nothing is known of the last statement: the database did not answer for ${limitMs} ms, and the connection was cut. ` +
        'The next attempt finds out. See whether the database, and what is between, can be reached.',
    );
  }
}

/** An operation that reserves said "no" when its reservation was to be settled. Retried. */
export class UnsettledReservationError extends Error {
  override readonly name = 'UnsettledReservationError';

  constructor(operation: string, how: 'confirm' | 'cancel', why: string) {
    super(
      `Nothing was changed: ${how} of ${operation} was refused (${why}). What is decided has to happen, so it is tried again: ` +
        `${how} may use only what its try has put aside, and has nothing to refuse. Mend the operation and deploy it.`,
    );
  }
}

/** A reservation waits for an operation that this worker does not have. Retried: an older or newer worker may. */
export class UnknownOperationError extends Error {
  override readonly name = 'UnknownOperationError';

  constructor(operation: string, { transaction, branch }: { readonly transaction: string; readonly branch: string }) {
    super(
      `Nothing was changed: the reservation ${branch} of ${transaction} is to be settled by ${operation}, which this worker does ` +
        'not have. Deploy a worker that declares it.',
    );
  }
}
