/**
 * Where operators meet the circuits of a participant's workers: in its database. A worker writes how its circuits stand, and
 * does what the last ruling says. Both are for people: whether a transaction may go on is never decided by these rows.
 */
import type { Pool, PoolClient } from 'pg';
import type { Circuit, CircuitReport } from '../resilience';
import { forAWhile } from './for-a-while';

export interface CircuitToKeep {
  readonly pool: Pool;
  /** Tells the processes of one participant apart: host and process id. */
  readonly worker: string;
  readonly circuits: readonly Circuit[];
  /** How often rulings are looked for, in milliseconds. @default 2000 */
  readonly everyMs?: number;
  /** Told when that fails, which is no reason to stop working. */
  readonly onError?: (error: unknown) => void;
}

/** What an operator says of a circuit. `close` ends an isolation, and forgets failures. */
export interface CircuitRuling {
  readonly id: string;
  readonly circuit: string;
  readonly ruling: 'isolate' | 'close';
  readonly by: string;
  readonly reason: string;
  readonly ruledAt: Date;
}

/** A circuit as a worker reported it. */
export interface ReportedCircuit extends Pick<CircuitReport, 'circuit' | 'state' | 'cutOff'> {
  readonly worker: string;
  readonly since: Date;
  readonly halfOpenAt?: Date;
  readonly seenAt: Date;
}

/** Rows are written at least this often, so that those of the dead can be told. */
const SIGN_OF_LIFE_MS = 10_000;
const DEAD_AFTER = '1 minute';
/** A worker that stops waits for it. */
const LONGEST_ROUND_MS = 5_000;

/**
 * Keeps the circuits and the database in step until it is ended.
 *
 * @returns once the rulings that stand have been obeyed for the first time; call the function to end it
 */
export async function keepCircuits(keeping: CircuitToKeep): Promise<() => Promise<void>> {
  const keeper = new Keeper(keeping);
  await keeper.obey();
  keeper.start();
  return () => keeper.stop();
}

class Keeper {
  readonly #obeyed = new Map<string, string>();
  readonly #written = new Map<string, { readonly row: string; readonly at: number }>();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();

  constructor(private readonly keeping: CircuitToKeep) {}

  start(): void {
    this.#timer = setInterval(() => {
      this.#round = this.#round.then(() => this.#keep()).catch((error: unknown) => this.keeping.onError?.(error));
    }, this.keeping.everyMs ?? 2_000);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#round;
    const { pool, worker } = this.keeping;
    const farewell = forAWhile(pool, LONGEST_ROUND_MS, (client) =>
      client.query('delete from txn.circuit where worker = $1', [worker]),
    );
    // Only for people: what cannot be removed now is told to be old.
    await farewell.catch(() => undefined);
  }

  obey(): Promise<void> {
    return forAWhile(this.keeping.pool, LONGEST_ROUND_MS, (client) => this.#obey(client));
  }

  async #obey(client: PoolClient): Promise<void> {
    const rulings = await latestRulings(client);
    for (const circuit of this.keeping.circuits) {
      const latest = rulings.find((ruling) => ruling.circuit === circuit.name);
      if (!latest || this.#obeyed.get(circuit.name) === latest.id) continue;
      this.#obeyed.set(circuit.name, latest.id);
      if (latest.ruling === 'isolate') circuit.isolate();
      else circuit.close();
    }
  }

  #keep(): Promise<void> {
    return forAWhile(this.keeping.pool, LONGEST_ROUND_MS, async (client) => {
      await this.#obey(client);
      for (const circuit of this.keeping.circuits) await this.#write(client, circuit.report());
    });
  }

  async #write(client: PoolClient, { circuit, state, cutOff, since, halfOpenAt }: CircuitReport): Promise<void> {
    const { worker } = this.keeping;
    const row = JSON.stringify([state, cutOff, since, halfOpenAt]);
    const last = this.#written.get(circuit);
    if (last?.row === row && performance.now() - last.at < SIGN_OF_LIFE_MS) return;
    const at = halfOpenAt === undefined ? null : new Date(halfOpenAt);
    await client.query(WRITE, [worker, circuit, state, cutOff, new Date(since), at]);
    if (last === undefined)
      await client.query(`delete from txn.circuit where seen_at < clock_timestamp() - $1::interval`, [DEAD_AFTER]);
    this.#written.set(circuit, { row, at: performance.now() });
  }
}

const WRITE = `
  insert into txn.circuit (worker, circuit, state, cut_off, since, half_open_at)
  values ($1, $2, $3, $4, $5, $6)
  on conflict (worker, circuit) do update
  set state = excluded.state, cut_off = excluded.cut_off, since = excluded.since,
      half_open_at = excluded.half_open_at, seen_at = clock_timestamp()`;

/** The last ruling of each circuit. */
export async function latestRulings(pool: Pool | PoolClient): Promise<readonly CircuitRuling[]> {
  const { rows } = await pool.query<CircuitRuling>(
    `select distinct on (circuit) id::text, circuit, ruling, by, reason, ruled_at as "ruledAt"
     from txn.circuit_ruling order by circuit, id desc`,
  );
  return rows;
}

/** What the participant's workers last reported: those that were not heard of for a minute are left out. */
export async function reportedCircuits(pool: Pool): Promise<readonly ReportedCircuit[]> {
  const { rows } = await pool.query<Omit<ReportedCircuit, 'halfOpenAt'> & { readonly halfOpenAt: Date | null }>(
    `select worker, circuit, state, cut_off as "cutOff", since, half_open_at as "halfOpenAt", seen_at as "seenAt"
     from txn.circuit where seen_at >= clock_timestamp() - $1::interval order by circuit, worker`,
    [DEAD_AFTER],
  );
  return rows.map(({ halfOpenAt, ...row }) => ({ ...row, ...(halfOpenAt === null ? {} : { halfOpenAt }) }));
}

/** Says what the participant's workers shall do with a circuit. They do it within a few seconds. */
export async function recordRuling(
  pool: Pool,
  { circuit, ruling, by, reason }: Pick<CircuitRuling, 'circuit' | 'ruling' | 'by' | 'reason'>,
): Promise<void> {
  await pool.query('insert into txn.circuit_ruling (circuit, ruling, by, reason) values ($1, $2, $3, $4)', [
    circuit,
    ruling,
    by,
    reason,
  ]);
}
