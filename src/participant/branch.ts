/**
 * What a participant needs to run one of its branches, and the two checks at its borders: the input that comes in and the
 * result that goes out.
 */
import type { Pool } from 'pg';
import type { Circuit } from '../resilience';
import type { BranchRequest, LocalTimeouts } from '../protocol';
import type { Caller } from './branch-log';
import { InvalidResultError, RefusalError } from './errors';
import type { AnyOperation } from './operation';

/** One operation of one participant, ready to run. */
export interface Branch {
  readonly pool: Pool;
  readonly timeouts: LocalTimeouts;
  /** Its name: `debit`. */
  readonly name: string;
  readonly operation: AnyOperation;
  readonly caller?: Caller;
  /** Unique id of the caller's namespace: a name is given twice. Absent where the worker does not know it. */
  readonly namespaceId?: string;
  /** Throws when the coordinator has withdrawn the request. Asked before the work and before the commit. */
  readonly checkWithdrawn?: () => void;
  /** Has the relays of the outbox look. */
  readonly wakeRelays?: () => void;
  /** Between the coordinators and this participant: new work goes through it, the end of what was begun never does. */
  readonly circuit?: Circuit;
}

/** Name of the circuit of a participant itself. */
export const PARTICIPANT_CIRCUIT = 'participant';

/** Does new work, unless the participant is known to be away. @throws {CircuitOpen} */
export const guarded = <T>({ circuit }: Branch, work: () => Promise<T>): Promise<T> =>
  circuit ? circuit.run(work) : work();

/** Reads the input by the operation's schema. What fails is refused: no retry of it can succeed. */
export async function readInput(operation: AnyOperation, input: unknown): Promise<unknown> {
  const checking = operation.input['~standard'].validate(input);
  const checked = checking instanceof Promise ? await checking : checking;
  if (checked.issues === undefined) return checked.value;
  const issues = checked.issues.slice(0, 10).map(({ message, path }) => ({
    field: (path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.'),
    problem: message,
  }));
  const summary = issues.map(({ field, problem }) => (field === '' ? problem : `${field}: ${problem}`)).join('; ');
  throw new RefusalError({ code: 'invalid-input', message: summary, details: issues });
}

const LARGEST_RESULT_BYTES = 1024 * 1024;

/** The result as it is stored and told. A result that cannot be told must not be committed. */
export function writeResult(name: string, result: unknown): string {
  let json: string;
  try {
    json = JSON.stringify(result) ?? 'null';
  } catch (error) {
    throw new InvalidResultError(
      name,
      `cannot be written as JSON (${error instanceof Error ? error.message : String(error)})`,
    );
  }
  const bytes = Buffer.byteLength(json);
  if (bytes > LARGEST_RESULT_BYTES)
    throw new InvalidResultError(name, `has ${bytes} bytes, more than ${LARGEST_RESULT_BYTES}`);
  return json;
}

export const labelOf = ({ transaction, branch }: Pick<BranchRequest, 'transaction' | 'branch'>): string =>
  `txn:${branch}:${transaction}`;
