/**
 * A participant's operations as Temporal activities: for each operation `debit`, `debit.compensate` and `debit.query` for
 * sagas, `debit.prepare`, `debit.decide`, `debit.commit` and `debit.abort` for two-phase commit, with `debit.preCommit` for three-phase commit; for one that reserves, `room.try`, `room.decide`, `room.confirm` and
 * `room.cancel`; and for the participant
 * `releaseLocks`, `participant.many`, which asks many of these together, and the questions of its recovery. A worker on the participant's task queue registers them.
 *
 * An activity is one question about one branch, and the participant's database answers it.
 */
import type { Pool } from 'pg';
import type { Circuit } from '../resilience';
import {
  checkLocalTimeouts,
  colocatedActivity,
  crashpoint,
  HEALTH,
  MANY,
  parseParticipantName,
  parseTransactionId,
} from '../protocol';
import type { BranchRequest, LocalTimeouts, ManyRequest, TransactionId } from '../protocol';
import { answering, openBranch, parseRequest, reopenBranch } from './answering';
import type { Branch } from './branch';
import { compensateUnlessCommitted } from './earlier-fate';
import { execute } from './execute';
import { participantHealth } from './health';
import { releaseLocks } from './isolation/semantic-lock';
import { Limiter } from './limiter';
import { askedOfMany } from './many';
import type { Participant } from './operation';
import { query } from './query';
import { recoveryActivities } from './recovery-activities';
import { reservationActivities } from './reservation-activities';
import { twoPhaseActivities } from './two-phase-activities';

export interface ParticipantActivityOptions {
  /** Connections to the participant's own database. The schema `txn` must be migrated there. */
  readonly pool: Pool;
  /** @default lock 2 s < statement 5 s < idle in transaction 8 s < start-to-close 10 s */
  readonly timeouts?: Partial<LocalTimeouts>;
  /** Whether the worker is about to stop: what only waits then ends at once. @default never */
  readonly stopping?: () => boolean;
  /** Has the relays of the outbox look: called after the commit of a branch that may have appended events. @default they poll */
  readonly wakeRelays?: () => void;
  /**
   * Unique id of the Temporal namespace that the worker is in: recovery then does not take a coordinator for gone because it asks
   * another Temporal that has a namespace of the same name. @default names alone count
   */
  readonly namespaceId?: () => string | undefined;
  /** Cuts new work off while the database is away or an operator says so, see {@link participantCircuit}. @default nothing does */
  readonly circuit?: Circuit;
}

// The arguments of an activity are its own affair: only the worker calls it.
type Activity = (request: never) => Promise<unknown>;

/** What a participant's worker registers, by activity type. */
export type ParticipantActivities = Readonly<Record<string, Activity>>;

/**
 * Makes the activities of a participant.
 *
 * @throws {InvalidTimeouts} when the timeouts are out of order
 * @example
 * const activities = participantActivities(accounts, { pool });
 * const worker = await Worker.create({ connection, taskQueue: 'accounts', activities });
 */
export function participantActivities(
  participant: Participant,
  options: ParticipantActivityOptions,
): ParticipantActivities {
  parseParticipantName(participant.name);
  const timeouts = checkLocalTimeouts(options.timeouts);
  // An idle connection that the server closes must not end the process: the pool opens another one.
  options.pool.on('error', ignoreLostIdleConnection);
  const namespaceId = options.namespaceId ?? (() => undefined);
  const questions: Record<string, Activity> = {
    releaseLocks: async ({ transaction }: { readonly transaction: TransactionId }) => ({
      released: await releaseLocks(options.pool, parseTransactionId(transaction)),
    }),
  };
  const sets = new Map<string, () => Branch>();
  for (const [name, operation] of Object.entries(participant.operations)) {
    const { wakeRelays, circuit } = options;
    const around = { ...(wakeRelays ? { wakeRelays } : {}), ...(circuit ? { circuit } : {}) };
    const open = (): Branch => {
      const id = namespaceId();
      const known = id === undefined ? {} : { namespaceId: id };
      return { ...openBranch(name, operation, options.pool, timeouts), ...around, ...known };
    };
    const reopen = (): Branch => ({ ...reopenBranch(name, operation, options.pool, timeouts), ...around });
    if (operation.executeMany && operation.kind !== 'read-only') sets.set(name, open);
    if (operation.kind === 'reservable') {
      const reserving = reservationActivities(open, reopen);
      questions[`${name}.try`] = reserving.try;
      questions[`${name}.decide`] = reserving.decide;
      questions[`${name}.confirm`] = reserving.confirm;
      questions[`${name}.cancel`] = reserving.cancel;
      continue;
    }
    questions[name] = async (request: BranchRequest) => {
      const answer = await execute(open(), parseRequest(request));
      await crashpoint('branch.committed-before-report');
      return answer;
    };
    questions[`${name}.compensate`] = async (request: BranchRequest) => {
      const answer = await compensateUnlessCommitted(reopen(), parseRequest(request));
      await crashpoint('compensation.committed-before-report');
      return answer;
    };
    questions[`${name}.query`] = async (request: BranchRequest) => query(reopen(), parseRequest(request));
    const { prepare, preCommit, decide, commit, abort } = twoPhaseActivities(name, open, reopen);
    questions[`${name}.prepare`] = prepare;
    questions[`${name}.preCommit`] = preCommit;
    questions[`${name}.decide`] = decide;
    questions[`${name}.commit`] = commit;
    questions[`${name}.abort`] = abort;
  }
  const many = askedOfMany({
    questions,
    together: sets,
    concurrency: Math.max(1, (options.pool.options.max ?? DEFAULT_CONNECTIONS) - SPARE_CONNECTIONS),
  });
  return {
    ...Object.fromEntries(Object.entries(questions).map(([name, question]) => [name, asActivity(question)])),
    [MANY]: (request: ManyRequest) => answering(() => many(request)),
    [HEALTH]: () => answering(() => participantHealth(options.pool)),
    ...recoveryActivities({
      pool: options.pool,
      timeouts,
      operations: participant.operations,
      stopping: options.stopping ?? (() => false),
      namespaceId,
    }),
  };
}

/**
 * The same for a worker of coordinators in this process, which asks them as local activities.
 *
 * @param name the participant's
 * @param concurrency how many run at a time: the others wait in line, and not for connections that the participant's own worker needs
 */
export function colocatedActivities(
  name: string,
  activities: ParticipantActivities,
  concurrency: number,
): ParticipantActivities {
  const limiter = new Limiter(concurrency);
  return Object.fromEntries(
    Object.entries(activities).map(([activity, ask]) => [
      colocatedActivity(name, activity),
      (request: never) => limiter.run(() => ask(request)),
    ]),
  );
}

/** Of pg. */
const DEFAULT_CONNECTIONS = 10;
/** For the health check and for what is asked alone. */
const SPARE_CONNECTIONS = 2;

const asActivity =
  (question: Activity): Activity =>
  (request) =>
    answering(() => question(request));

function ignoreLostIdleConnection(): void {
  // The pool has dropped it already; whoever needs a connection next gets a new one, or the error.
}
