/** What is reserved in a participant's database and neither confirmed nor cancelled: one row for each, next to its branch. */
import type { Pool } from 'pg';
import type { BranchRequest } from '../protocol';
import type { Caller } from './branch-log';
import { keyOf } from './gid';
import type { TransactionKey } from './gid';
import type { Statement } from './pipeline';

/** What a try leaves for whoever has to end it. */
export interface NewReservation extends BranchRequest {
  readonly operation: string;
  /** Names of the participant that has the register, and of this one. */
  readonly register: string;
  readonly participant: string;
  readonly holdMs?: number;
  readonly caller?: Caller;
  /** Unique id of the caller's namespace, where it is known. */
  readonly namespaceId?: string;
}

const INSERT = `
  insert into txn.reservation
    (transaction_id, branch_id, operation, input, request_hash, register, participant, hold_ms, namespace, namespace_id, workflow_id)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`;

/** What writes it, in the local transaction of the try. */
export const reservationInsertion = (reservation: NewReservation): Statement => {
  const { transaction, branch, operation, input, request, register, participant, holdMs, caller, namespaceId } =
    reservation;
  return {
    text: INSERT,
    values: [
      transaction,
      branch,
      operation,
      JSON.stringify(input ?? null),
      request ?? null,
      register,
      participant,
      holdMs === undefined ? null : String(holdMs),
      caller?.namespace ?? null,
      namespaceId ?? null,
      caller?.workflowId ?? null,
    ],
    keptAs: 'txn reservation',
  };
};

/** What removes it, in the local transaction that confirms or cancels. */
export const reservationDeletion = ({ transaction, branch }: BranchKey): Statement => ({
  text: 'delete from txn.reservation where transaction_id = $1 and branch_id = $2',
  values: [transaction, branch],
});

type BranchKey = Pick<BranchRequest, 'transaction' | 'branch'>;

/** A reservation that nobody has ended for long. */
export interface OverdueReservation {
  readonly transaction: string;
  readonly branch: string;
  readonly key: TransactionKey;
  readonly operation: string;
  /** Name of the participant that has the register. */
  readonly register: string;
  readonly ageMs: number;
  /** Hash of the transaction's input. */
  readonly request?: string;
  readonly namespace?: string;
  readonly namespaceId?: string;
  readonly workflowId?: string;
}

// By age alone: a look at what to ask about, and no more. What becomes of it, the register says. The hold is compared as a number:
// no timestamp is as far away as it may be long, and the error would hide every other branch from recovery.
const OVERDUE = `
  select transaction_id as transaction, branch_id as branch, operation, register, request_hash as request,
         namespace, namespace_id as "namespaceId", workflow_id as "workflowId",
         extract(epoch from clock_timestamp() - created_at) * 1000 as "ageMs"
    from txn.reservation
   where participant = $1
     and created_at < clock_timestamp() - make_interval(secs => $2 / 1000.0)
     and extract(epoch from clock_timestamp() - created_at) * 1000 > $2 + coalesce(hold_ms, 0)
   order by created_at
   limit 1000`;

/** Reservations of a participant that are older than the grace period, and than they were meant to be held; the oldest first. */
export async function overdueReservations(
  pool: Pool,
  participant: string,
  graceMs: number,
): Promise<OverdueReservation[]> {
  const { rows } = await pool.query<
    Omit<OverdueReservation, 'key' | 'ageMs' | 'request' | 'namespace' | 'namespaceId' | 'workflowId'> & {
      readonly ageMs: string;
      readonly request: string | null;
      readonly namespace: string | null;
      readonly namespaceId: string | null;
      readonly workflowId: string | null;
    }
  >(OVERDUE, [participant, graceMs]);
  return rows.map(({ ageMs, request, namespace, namespaceId, workflowId, ...row }) => ({
    ...row,
    key: keyOf(row.transaction),
    ageMs: Number(ageMs),
    ...(request === null ? {} : { request }),
    ...(namespace === null ? {} : { namespace }),
    ...(namespaceId === null ? {} : { namespaceId }),
    ...(workflowId === null ? {} : { workflowId }),
  }));
}

/** A reservation with what its operation needs to confirm or cancel it. Undefined when it has ended, or never was. */
export async function findReservation(
  pool: Pool,
  transaction: string,
  branch: string,
): Promise<{ readonly operation: string; readonly input: unknown; readonly request?: string } | undefined> {
  const { rows } = await pool.query<{ operation: string; input: string; request: string | null }>(
    `select operation, input::text as input, request_hash as request from txn.reservation
      where transaction_id = $1 and branch_id = $2`,
    [transaction, branch],
  );
  const [row] = rows;
  if (!row) return undefined;
  const { operation, input, request } = row;
  return { operation, input: JSON.parse(input) as unknown, ...(request === null ? {} : { request }) };
}
