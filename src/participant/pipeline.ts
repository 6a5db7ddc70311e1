/**
 * Several statements in one message to PostgreSQL, answered by one: what would be a round trip each is one. After the first that fails
 * the server skips the others.
 *
 * Their values travel beside them, as in every statement of the extended protocol: they are neither escaped nor logged as its text.
 *
 * @see PostgreSQL manual, "Message Flow", 55.2.4 Pipelining
 */
import type { Connection, PoolClient, Submittable } from 'pg';
import { types } from 'pg';

/** One SQL statement. */
export interface Statement {
  readonly text: string;
  /** For `$1`, `$2`, … */
  readonly values?: readonly (string | null)[];
}

/** What one statement came to. */
export interface Completed<Row = unknown> {
  /** The first word of its command tag, as node-postgres has it: of PREPARE TRANSACTION it is `PREPARE`. */
  readonly command: string;
  readonly rowCount: number | null;
  readonly rows: readonly Row[];
}

/**
 * Sends statements together. They are one transaction where none of them is BEGIN.
 *
 * @returns what each of them came to, in their order
 * @throws what the first one threw that failed; those after it were not run
 */
export async function pipelined(client: PoolClient, statements: readonly Statement[]): Promise<readonly Completed[]> {
  if (!(client as MayPipeline).pipeline) {
    const pipeline = new Pipeline(statements);
    client.query(pipeline);
    return pipeline.completed;
  }
  // A client that pipelines by itself takes its own queries only.
  const completed: Completed[] = [];
  for (const { text, values = [] } of statements) {
    const query = { text, values: [...values], queryMode: 'extended' };
    completed.push(await client.query(query));
  }
  return completed;
}

/** True where its pool was made with `pipeline: true`. */
interface MayPipeline {
  readonly pipeline?: boolean;
}

interface Field {
  readonly name: string;
  readonly dataTypeID: number;
}

/** As node-postgres takes queries of others: its Client calls these methods with what the server sends. */
class Pipeline implements Submittable {
  readonly completed: Promise<readonly Completed[]>;
  #resolve!: (completed: readonly Completed[]) => void;
  #reject!: (error: Error) => void;
  readonly #done: Completed[] = [];
  #fields: readonly Field[] = [];
  #rows: unknown[] = [];

  constructor(private readonly statements: readonly Statement[]) {
    this.completed = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: Connection): void {
    connection.stream.cork();
    try {
      for (const { text, values = [] } of this.statements) {
        connection.parse({ text, name: '', types: [] }, true);
        connection.bind({ values: [...values] }, true);
        connection.describe({ type: 'P', name: '' }, true);
        connection.execute({}, true);
      }
      // One for all: up to it the server skips what comes after a failure.
      connection.sync();
    } finally {
      connection.stream.uncork();
    }
  }

  handleRowDescription({ fields }: { readonly fields: readonly Field[] }): void {
    this.#fields = fields;
  }

  handleDataRow({ fields: values }: { readonly fields: readonly (string | null)[] }): void {
    const row = this.#fields.map(({ name, dataTypeID }, i) => {
      const value = values[i] ?? null;
      return [name, value === null ? null : (types.getTypeParser(dataTypeID)(value) as unknown)];
    });
    this.#rows.push(Object.fromEntries(row));
  }

  handleCommandComplete({ text: tag }: { readonly text: string }): void {
    const count = /\d+$/.exec(tag)?.[0];
    this.#done.push({
      command: tag.split(' ', 1)[0] ?? '',
      rowCount: count === undefined ? null : Number(count),
      rows: this.#rows,
    });
    this.#fields = [];
    this.#rows = [];
  }

  handleError(error: Error): void {
    // It was made where the answer was read: whoever looks for the statement finds who sent it.
    Error.captureStackTrace(error);
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#done);
  }
}
