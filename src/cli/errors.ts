/**
 * The errors of the command `temporal-txn`. Each says first whether anything was changed, then what was wrong with which
 * value, then the remedy, and carries the exit code of the command.
 */
import { show } from '../protocol';
import type { Decision } from '../protocol';
import { ExitCode } from './exit-code';

/** A problem that ends the command. */
export abstract class CommandError extends Error {
  abstract readonly exitCode: ExitCode;
}

/** The configuration file, or a variable, cannot be used. Values are never shown: they hold passwords. */
export class InvalidConfiguration extends CommandError {
  override readonly name = 'InvalidConfiguration';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(where: string, problem: string) {
    super(`Nothing was changed: ${where} ${problem}`);
  }
}

/** No database is configured: an answer about none would sound like good news. */
export class NoDatabaseConfigured extends CommandError {
  override readonly name = 'NoDatabaseConfigured';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor() {
    super(
      'Nothing was changed, and nothing was looked at: no database is configured. Name a file with --config or TXN_CONFIG, ' +
        'such as { "databases": { "north-bank": "postgres://app:${NORTH_BANK_PASSWORD}@db:5432/north_bank" } }, ' +
        'or set TXN_DATABASE_NORTH_BANK.',
    );
  }
}

/** An argument or option has a value that cannot be meant. */
export class InvalidArgument extends CommandError {
  override readonly name = 'InvalidArgument';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(what: string, value: unknown, remedy: string) {
    super(`Nothing was changed: ${what} is ${show(value)}. ${remedy}`);
  }
}

/** No database that could be looked at knows the transaction. */
export class UnknownTransaction extends CommandError {
  override readonly name = 'UnknownTransaction';

  constructor(
    shown: string,
    override readonly exitCode: ExitCode,
    notLookedAt: readonly string[],
  ) {
    super(
      `Nothing was changed: ${shown} is in no register, branch log or list of prepared transactions ` +
        (notLookedAt.length > 0
          ? `of the databases that answered. Not looked at: ${notLookedAt.join(', ')}. Try again when they answer.`
          : 'of the configured databases. Check the id; temporal-txn in-doubt lists what may be resolved, temporal-txn audit what may be accepted.'),
    );
  }
}

/** A transaction left rows, and no register and no prepared transaction. */
export class NothingInDoubt extends CommandError {
  override readonly name = 'NothingInDoubt';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(shown: string, participants: readonly string[]) {
    super(
      `Nothing was changed: ${shown} is in the branch log of ${participants.join(', ')}, but no register has a decision and ` +
        'nothing of it is prepared: it is a saga, or was committed in one phase. Its workflow settles it, and shows in the Web UI what it needs.',
    );
  }
}

/** A gid names another deployment's prepared transaction. */
export class OtherNamespace extends CommandError {
  override readonly name = 'OtherNamespace';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(gid: string, namespace: string) {
    super(
      `Nothing was changed: ${gid} does not belong to Temporal namespace ${show(namespace)}. ` +
        'Name the right one with --namespace or TEMPORAL_NAMESPACE.',
    );
  }
}

/** The only place that knows the decision does not answer. */
export class RegisterUnreadable extends CommandError {
  override readonly name = 'RegisterUnreadable';
  override readonly exitCode = ExitCode.Incomplete;

  constructor(participant: string, why: string) {
    super(
      `Nothing was changed: the register of this transaction is in the database of ${participant}, and only it can tell the ` +
        `decision. ${why} Bring it back, then try again.`,
    );
  }
}

/** Two registers, or none that can be named, claim one transaction. */
export class RegisterInQuestion extends CommandError {
  override readonly name = 'RegisterInQuestion';
  override readonly exitCode = ExitCode.NeedsPerson;

  constructor(shown: string, registers: readonly string[]) {
    super(
      `Nothing was changed: ${shown} has its register at ${registers.join(' and at ')}. Only one of them can be right: ` +
        'compare their rows in txn.decision, and ask the authors of the coordinator.',
    );
  }
}

/** A file is no exported history, or a history holds what is none. */
export class InvalidHistory extends CommandError {
  override readonly name = 'InvalidHistory';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(file: string, problem: string) {
    super(
      `Nothing was changed: the history ${show(file)} ${problem}. Export one with temporal workflow show --workflow-id ... ` +
        '--output json, or with Download in the Web UI.',
    );
  }
}

/** A workflow has this id, and it is no transaction of this package. */
export class NotATransaction extends CommandError {
  override readonly name = 'NotATransaction';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(id: string, type: string) {
    super(
      `Nothing was changed: ${show(id)} is a workflow of type ${show(type)} that reports no transaction, and no database that ` +
        'was looked at knows one of that id. Check the id; temporal-txn timeline shows the history of any workflow.',
    );
  }
}

/** Temporal is needed, and does not answer. */
export class TemporalUnavailable extends CommandError {
  override readonly name = 'TemporalUnavailable';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(why: string, remedy: string) {
    super(`Nothing was changed: ${why}. ${remedy}`);
  }
}

/** Temporal answers, and does not know the workflow. */
export class UnknownWorkflow extends CommandError {
  override readonly name = 'UnknownWorkflow';
  override readonly exitCode = ExitCode.WrongUsage;

  /** @param where it may be instead, in a sentence */
  constructor(id: string, namespace: string, where: string) {
    super(
      `Nothing was changed: Temporal knows no workflow ${show(id)} in namespace ${show(namespace)}. ` +
        `${where === '' ? 'Check' : `${where} Else check`} the id and --namespace; ` +
        "one that ended longer ago than the namespace's retention is forgotten there, and temporal-txn show asks the databases.",
    );
  }
}

/** No worker of the workflow answers, and only one of them could say or do it. */
export class NoWorkerAnswers extends CommandError {
  override readonly name = 'NoWorkerAnswers';
  override readonly exitCode = ExitCode.Incomplete;

  constructor(id: string, taskQueue: string, sent: 'nothing' | 'a ruling') {
    super(
      sent === 'nothing'
        ? `Nothing was changed: no worker of task queue ${show(taskQueue)} answers, and only one can say what ${show(id)} waits for. Start one, then try again.`
        : `It is not known whether anything was changed: no worker of task queue ${show(taskQueue)} has answered in time, and the ruling may still reach ${show(id)}. See temporal-txn show.`,
    );
  }
}

/** A transaction does not wait for the ruling that was typed. */
export class NotWaiting extends CommandError {
  override readonly name = 'NotWaiting';
  override readonly exitCode: ExitCode;

  /**
   * @param waits what it does wait for, or that it waits for nothing
   * @param needsPerson whether something else has to be done
   */
  constructor(ruling: string, id: string, waits: string, needsPerson: boolean) {
    super(`Nothing was changed: ${show(id)} does not wait for ${ruling}. ${waits}`);
    this.exitCode = needsPerson ? ExitCode.NeedsPerson : ExitCode.WrongUsage;
  }
}

/** The workflow was terminated or timed out: no code of it runs that could take a ruling. */
export class RulingOnInterrupted extends CommandError {
  override readonly name = 'RulingOnInterrupted';
  override readonly exitCode = ExitCode.NeedsPerson;

  /** @param remedy how it goes on, up to the full stop */
  constructor(shown: string, how: string, remedy: string) {
    super(
      `Nothing was changed: ${shown} was ${how}, so no code of it runs that could take a ruling. ${remedy}. What was done answers from the branch log. ` +
        'What two-phase commit has prepared is settled by recovery, or by temporal-txn resolve.',
    );
  }
}

/** Several steps wait, and each is ruled on by itself. */
export class SeveralHeld extends CommandError {
  override readonly name = 'SeveralHeld';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(id: string, held: readonly string[]) {
    super(
      `Nothing was changed: in ${show(id)} more than one step waits: ${held.join(', ')}. Name one with --step, and where two have one name, its transaction with --transaction.`,
    );
  }
}

/** The workflow did not take a ruling. */
export class RulingNotTaken extends CommandError {
  override readonly name = 'RulingNotTaken';
  override readonly exitCode = ExitCode.NeedsPerson;

  constructor(id: string, why: string) {
    super(`Nothing was changed: ${show(id)} did not take the ruling: ${why.replace(/^Nothing was changed: /, '')}`);
  }
}

/** The coordinator is at work and will most likely decide by itself. */
export class CoordinatorRunning extends CommandError {
  override readonly name = 'CoordinatorRunning';
  override readonly exitCode = ExitCode.NeedsPerson;

  constructor(shown: string, workflowId: string) {
    super(
      `Nothing was changed: ${shown} is not decided and its coordinator, workflow ${show(workflowId)}, is running. ` +
        'Wait for it, or abort the transaction under it with --even-if-running: the register is write-once, so that is safe.',
    );
  }
}

/** A heuristic outcome was asked for without accepting what it is. */
export class HeuristicNotAccepted extends CommandError {
  override readonly name = 'HeuristicNotAccepted';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(took: Decision) {
    super(
      `Nothing was changed: --force ${took} may make some branches of the transaction take effect and others not, and nothing ` +
        'undoes that. If you mean it, add --i-accept-heuristic; without --force the register is followed, which is always safe.',
    );
  }
}

/** A heuristic outcome was asked for where there is nothing to force. */
export class NothingToForce extends CommandError {
  override readonly name = 'NothingToForce';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(shown: string, why: string) {
    super(`Nothing was changed: ${shown} ${why}`);
  }
}

/** There is nothing that a person could accept. */
export class NothingToAccept extends CommandError {
  override readonly name = 'NothingToAccept';

  constructor(
    shown: string,
    why: string,
    override readonly exitCode: ExitCode = ExitCode.WrongUsage,
  ) {
    super(`Nothing was changed: ${shown} ${why}`);
  }
}

/** Several branches could be accepted, and each of them has to be looked at. */
export class SeveralToAccept extends CommandError {
  override readonly name = 'SeveralToAccept';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(shown: string, branches: readonly string[]) {
    super(
      `Nothing was changed: of ${shown}, more than one branch does not agree with the decision: ${branches.join(', ')}. ` +
        'Name one with --branch, or by its gid; each of them is accepted by itself.',
    );
  }
}

/** Somebody else was faster. */
export class GoneMeanwhile extends CommandError {
  override readonly name = 'GoneMeanwhile';
  override readonly exitCode = ExitCode.NeedsPerson;

  constructor(gid: string) {
    super(
      `No branch was changed: ${gid} was finished by somebody else meanwhile. The row in txn.heuristic stays, and temporal-txn audit ` +
        `compares it with what stands. See temporal-txn resolve ${gid}.`,
    );
  }
}

/** PostgreSQL did not finish what was forced, and whether it did is not known or not done. */
export class ForceFailed extends CommandError {
  override readonly name = 'ForceFailed';
  override readonly exitCode = ExitCode.NeedsPerson;

  constructor(gid: string, outcome: 'not-done' | 'unknown', why: string) {
    super(
      outcome === 'not-done'
        ? `No branch was changed: ${gid} is still prepared. ${why} The row in txn.heuristic stays, and temporal-txn audit compares it with what stands.`
        : `It is not known whether ${gid} was finished: ${why} Its row in txn.heuristic stays. Look with temporal-txn in-doubt.`,
    );
  }
}

/** No database is configured for the service that was named. */
export class UnknownService extends CommandError {
  override readonly name = 'UnknownService';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(service: string, known: readonly string[]) {
    super(`Nothing was changed: no database is configured for ${show(service)}. Configured are ${known.join(', ')}.`);
  }
}

/** The only database that a command needs does not answer. */
export class DatabaseUnavailable extends CommandError {
  override readonly name = 'DatabaseUnavailable';
  override readonly exitCode = ExitCode.Incomplete;

  constructor(participant: string, why: string) {
    super(`Nothing was changed: the database of ${participant} cannot be looked at. ${why}`);
  }
}

/** No Temporal server answers, and without one there is nothing to tell. */
export class TemporalUnreachable extends CommandError {
  override readonly name = 'TemporalUnreachable';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(address: string, why: string) {
    super(
      `Nothing was changed, and nothing was looked at: no Temporal server answers at ${show(address)} (${why}). ` +
        'Check TEMPORAL_ADDRESS, or start the server.',
    );
  }
}

/** The settings would have Temporal reached in a way that is refused. */
export class TemporalRefused extends CommandError {
  override readonly name = 'TemporalRefused';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(why: string) {
    super(`Nothing was changed, and nothing was looked at: ${why.replace(/^Nothing was started: /, '')}`);
  }
}

/** A database is configured in a way that is refused. */
export class DatabaseRefused extends CommandError {
  override readonly name = 'DatabaseRefused';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(why: string) {
    super(`Nothing was changed, and nothing was looked at: ${why}`);
  }
}

/** Temporal refused what a command asked it for. */
export class TemporalSaidNo extends CommandError {
  override readonly name = 'TemporalSaidNo';
  override readonly exitCode = ExitCode.WrongUsage;

  constructor(what: string, why: string, remedy: string) {
    super(`Nothing was changed: ${what}: ${why} ${remedy}`);
  }
}

/** A search attribute of our name has another type, which Temporal cannot change. */
export class SearchAttributeConflict extends CommandError {
  override readonly name = 'SearchAttributeConflict';
  override readonly exitCode = ExitCode.NeedsPerson;

  constructor(namespace: string, conflicts: readonly string[]) {
    super(
      `Nothing was changed: in namespace ${show(namespace)} ${conflicts.join(', and ')}. Temporal changes no type: remove it with ` +
        'temporal operator search-attribute remove if nothing else uses it, then run temporal-txn setup again; or use a namespace of your own.',
    );
  }
}

/** A schema could not be migrated with the login that is configured. */
export class MigrationRefused extends CommandError {
  override readonly name = 'MigrationRefused';
  override readonly exitCode = ExitCode.NeedsPerson;

  constructor(participant: string, why: string, migrated: readonly string[]) {
    super(
      `${migrated.length === 0 ? 'No schema was changed' : `Migrated: ${migrated.join(', ')}. Nothing was changed at ${participant}`}: ` +
        `the database of ${participant} was not migrated. ${why} Migrate with the login of the role that owns schema txn: name a file ` +
        'with the owners of the databases by --config.',
    );
  }
}
