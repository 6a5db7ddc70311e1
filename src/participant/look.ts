/** The committed row of a branch, in the words of the protocol. */
import type { Pool } from 'pg';
import { AbortCode } from '../protocol';
import type { Row } from '../protocol';
import type { BranchRow, LoggedRequest } from './branch-log';
import { findBranch } from './branch-log';
import { InputMismatchError } from './errors';

/** Reads it outside any transaction: what stands now, and only what is committed. */
export async function look(pool: Pool, operation: string, request: LoggedRequest): Promise<Row> {
  try {
    return rowOf(await findBranch(pool, operation, request));
  } catch (error) {
    if (error instanceof InputMismatchError) return 'other-request';
    throw error;
  }
}

function rowOf(row: BranchRow | undefined): Row {
  switch (row?.state) {
    case undefined:
      return 'none';
    case 'refused':
      return { refused: row?.refusal ?? { code: AbortCode.Failed, message: 'The reason was not kept.' } };
    case 'applied':
    case 'compensated':
    case 'fenced':
      return row?.state ?? 'none';
    default:
      // A reservation, under the key of what is prepared: its operation was another one then.
      return 'other-request';
  }
}
