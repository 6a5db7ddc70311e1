/**
 * What a participant's recovery looks at and does, in its own database: prepared transactions that nobody finishes, and
 * preparations of which nothing is left. Needs no coordinator and no Temporal.
 *
 * @see Narayana, `XARecoveryModule`: orphans are told from the living by age and by a second look
 */
import type { Pool } from 'pg';
import { crashpoint, parseBranchId, parseTransactionId } from '../protocol';
import type { Ack, Decision, LocalTimeouts } from '../protocol';
import { PreparedElsewhereError } from './errors';
import { abort, commit } from './finish';
import { branchKeyOf, keyOf, parseGid, readGid } from './gid';
import type { Gid, GidParts, TransactionKey } from './gid';
import { finishPrepared, listPrepared, readSlots } from './prepared';
import type { PreparedTransaction, Slots, Viewer } from './prepared';

/** A branch of ours that has been prepared for longer than the grace period, or that should be and is not. */
export interface OverdueBranch {
  readonly gid: string;
  readonly key: TransactionKey;
  /** The participant that has the register. */
  readonly register: string;
  readonly ageMs: number;
  readonly prepared: boolean;
  readonly owned: boolean;
  /** Three-phase commit: all have voted `commit`. */
  readonly preCommitted: boolean;
  /** Absent for an orphan: nothing says more than its gid. */
  readonly transaction?: string;
  readonly branch?: string;
  /** Hash of the transaction's input. */
  readonly request?: string;
  readonly namespace?: string;
  readonly namespaceId?: string;
  readonly workflowId?: string;
}

/** What is prepared in a participant's database. */
export interface Survey {
  /** Of this participant, the oldest first. */
  readonly overdue: readonly OverdueBranch[];
  /** Prepared transactions of this participant, young ones included. */
  readonly inDoubt: number;
  /** Age of the oldest one, in milliseconds; 0 when there is none. */
  readonly oldestAgeMs: number;
  /** In this database, of another participant, namespace or program: left alone. */
  readonly foreign: readonly { readonly gid: string; readonly ageMs: number; readonly owner: string }[];
  readonly slots: Slots;
}

/** Looks at everything that is prepared. */
export async function survey(pool: Pool, viewer: Viewer, graceMs: number): Promise<Survey> {
  const listed = await listPrepared(pool, viewer);
  const ours = listed.filter(({ whose }) => whose === 'ours');
  return {
    overdue: [
      ...ours.filter(({ ageMs }) => ageMs >= graceMs).flatMap(overdueOf),
      ...(await missing(pool, viewer, graceMs)),
    ],
    ...summaryOf(ours),
    foreign: listed.filter(({ whose }) => whose !== 'ours').map(({ gid, ageMs, owner }) => ({ gid, ageMs, owner })),
    slots: await readSlots(pool),
  };
}

/** Counts what is prepared. */
export async function lookAtPrepared(
  pool: Pool,
  viewer: Viewer,
): Promise<Pick<Survey, 'inDoubt' | 'oldestAgeMs' | 'slots'>> {
  const listed = await listPrepared(pool, viewer);
  return { ...summaryOf(listed.filter(({ whose }) => whose === 'ours')), slots: await readSlots(pool) };
}

const summaryOf = (ours: readonly PreparedTransaction[]) => ({
  inDoubt: ours.length,
  oldestAgeMs: Math.max(0, ...ours.map(({ ageMs }) => ageMs)),
});

function overdueOf({ gid, parts, ageMs, owned, branch }: PreparedTransaction): OverdueBranch[] {
  if (parts === undefined) return [];
  const { transaction: key, register } = parts;
  const known = branch && {
    transaction: branch.transaction,
    branch: branch.branch,
    ...(branch.request === null ? {} : { request: branch.request }),
    ...(branch.namespace === null ? {} : { namespace: branch.namespace }),
    ...(branch.namespaceId === null ? {} : { namespaceId: branch.namespaceId }),
    ...(branch.workflowId === null ? {} : { workflowId: branch.workflowId }),
  };
  return [{ gid, key, register, ageMs, prepared: true, owned, preCommitted: branch?.preCommitted ?? false, ...known }];
}

// The second look at the list is newer than the one at the log, and between the two a commit can only have added a row.
// What a person did by hand, or has accepted as lost, is no longer recovery's.
const MISSING = `
  select p.gid, p.register, p.transaction_id as transaction, p.branch_id as branch, p.request_hash as request, p.namespace,
         p.namespace_id as "namespaceId", p.workflow_id as "workflowId", extract(epoch from clock_timestamp() - p.created_at) * 1000 as "ageMs"
    from txn.preparation p
   where p.created_at < clock_timestamp() - make_interval(secs => $1)
     and not exists (select from txn.branch b where b.transaction_id = p.transaction_id and b.branch_id = p.branch_id)
     and not exists (select from pg_prepared_xacts x where x.gid = p.gid and x.database = current_database())
     and not exists (select from txn.heuristic h where h.gid = p.gid)
     and not exists (
       select from txn.acceptance a
        where a.transaction_id = p.transaction_id and a.branch_id = p.branch_id and a.took = 'abort')
   order by p.created_at
   limit 1000`;

/** Branches that were asked to prepare and are neither prepared nor ended: most never got that far, one may be lost. */
async function missing(pool: Pool, { participant }: Viewer, graceMs: number): Promise<OverdueBranch[]> {
  const { rows } = await pool.query<{
    gid: string;
    register: string;
    transaction: string;
    branch: string;
    request: string | null;
    namespace: string | null;
    namespaceId: string | null;
    workflowId: string | null;
    ageMs: string;
  }>(MISSING, [graceMs / 1000]);
  return rows
    .filter(({ gid }) => readGid(gid)?.participant === participant)
    .map(({ gid, register, transaction, branch, request, namespace, namespaceId, workflowId, ageMs }) => ({
      gid,
      key: keyOf(transaction),
      register,
      transaction,
      branch,
      ageMs: Number(ageMs),
      prepared: false,
      owned: true,
      preCommitted: false,
      ...(request === null ? {} : { request }),
      ...(namespace === null ? {} : { namespace }),
      ...(namespaceId === null ? {} : { namespaceId }),
      ...(workflowId === null ? {} : { workflowId }),
    }));
}

// A preparation is needed as long as its branch may be in doubt. One whose branch has a row has ended, and who settles it once
// more finds that row.
const FORGET = `
  delete from txn.preparation p
   where p.created_at < clock_timestamp() - make_interval(secs => $1)
     and exists (select from txn.branch b where b.transaction_id = p.transaction_id and b.branch_id = p.branch_id)
     and not exists (select from pg_prepared_xacts x where x.gid = p.gid)`;

/** Removes the records of preparations that have ended. Returns how many. */
export async function forgetEnded(pool: Pool, graceMs: number): Promise<number> {
  const { rowCount } = await pool.query(FORGET, [graceMs / 1000]);
  return rowCount ?? 0;
}

interface Recorded {
  readonly transaction: string;
  readonly branch: string;
  readonly operation: string;
  readonly inputHash: string;
  readonly request: string | null;
  readonly namespace: string | null;
  readonly workflowId: string | null;
}

const COLUMNS = `
  transaction_id as transaction, branch_id as branch, operation, encode(input_hash, 'hex') as "inputHash",
  request_hash as request, namespace, workflow_id as "workflowId"`;
const RECORDED = `select ${COLUMNS} from txn.preparation where gid = $1`;
const LOGGED = `select ${COLUMNS} from txn.branch where transaction_id = $1 and branch_id = $2`;

/** What is settled: by its gid, and the ids that were recorded with it where the one who asks has seen them. */
export interface Settleable {
  readonly gid: string;
  readonly transaction?: string;
  readonly branch?: string;
}

/**
 * Finishes a prepared branch. Its gid alone will do; with its ids, one that has ended is known by its row even where the record
 * of its preparation is forgotten.
 *
 * @param decision what the register says
 * @throws {InvalidGidError} when it is not a gid of this package
 * @throws {PreparedElsewhereError} when it names another participant
 */
export async function settle(
  pool: Pool,
  timeouts: LocalTimeouts,
  participant: string,
  given: Settleable,
  decision: Decision,
): Promise<Ack> {
  const gid = parseGid(given.gid);
  const parts = readGid(gid);
  if (parts?.participant !== participant) throw new PreparedElsewhereError(gid, parts?.participant ?? '', participant);
  const recorded = (await recordOf(pool, gid, parts)) ?? (await loggedAs(pool, given, parts));
  const ack = recorded
    ? await finishRecorded(pool, timeouts, gid, recorded, decision)
    : await finishOrphan(pool, gid, decision);
  await crashpoint('two-phase.recovered-before-report');
  return ack;
}

/** A record that is not of this gid's transaction would have another branch fenced off. */
async function recordOf(pool: Pool, gid: Gid, parts: GidParts): Promise<Recorded | undefined> {
  const { rows } = await pool.query<Recorded>(RECORDED, [gid]);
  return rows.find(({ transaction }) => keyOf(transaction) === parts.transaction);
}

/** A record is forgotten when its branch has a row, and the row says the same. Ids that do not fit the gid are another branch's. */
async function loggedAs(
  pool: Pool,
  { transaction, branch }: Settleable,
  parts: GidParts,
): Promise<Recorded | undefined> {
  if (transaction === undefined || keyOf(transaction) !== parts.transaction) return undefined;
  if (branch === undefined || branchKeyOf(branch) !== parts.branch) return undefined;
  const { rows } = await pool.query<Recorded>(LOGGED, [transaction, branch]);
  return rows[0];
}

function finishRecorded(
  pool: Pool,
  timeouts: LocalTimeouts,
  gid: Gid,
  { transaction, branch, operation, inputHash, request, namespace, workflowId }: Recorded,
  decision: Decision,
): Promise<Ack> {
  const caller = namespace === null || workflowId === null ? undefined : { namespace, workflowId };
  const finishable = { pool, timeouts, name: operation, gid, ...(caller ? { caller } : {}) };
  const logged = {
    transaction: parseTransactionId(transaction),
    branch: parseBranchId(branch),
    inputHash,
    ...(request === null ? {} : { request }),
  };
  return decision === 'commit' ? commit(finishable, logged) : abort(finishable, logged);
}

/** Its ids are not known, so neither its row nor a tombstone can be: what is prepared is finished, and that is all there is. */
async function finishOrphan(pool: Pool, gid: Gid, decision: Decision): Promise<Ack> {
  const answer = await finishPrepared(pool, gid, decision);
  if (answer === 'done') return { kind: 'applied' };
  return { kind: 'lost', evidence: 'Neither its prepared transaction nor a record of its preparation is there.' };
}
