/**
 * Several statements in one message to PostgreSQL, answered by one: what would be a round trip each is one. After the first that fails
 * the server skips the others.
 *
 * Their values travel beside them, as in every statement of the extended protocol: they are neither escaped nor logged as its text.
 *
 * @see PostgreSQL manual, "Message Flow", 55.2.4 Pipelining
 */
import type { Connection, PoolClient, Submittable } from 'pg';

/** One SQL statement. */
export interface Statement {
  readonly text: string;
  /** For `$1`, `$2`, … */
  readonly values?: readonly (string | null)[];
}

/** What one statement came to. */
export interface Completed {
  /** The first word of its command tag, as node-postgres has it: of PREPARE TRANSACTION it is `PREPARE`. */
  readonly command: string;
  readonly rowCount: number | null;
  readonly rows: readonly unknown[];
}

/**
 * Sends statements together. They are one transaction where none of them is BEGIN.
 *
 * @returns what each of them came to, in their order
 * @throws what the first one threw that failed; those after it were not run
 */
export async function pipelined(client: PoolClient, statements: readonly Statement[]): Promise<readonly Completed[]> {
  if ((client as MayPipeline).pipeline) return oneByOne(client, statements);
  try {
    return await new Promise((resolve, reject) => {
      client.query(new Pipeline(client, statements, resolve, reject));
    });
  } catch (error) {
    // It was made where the answer was read. Whoever looks for the statement finds who sent it.
    if (error instanceof Error) Error.captureStackTrace(error);
    throw error;
  }
}

/** True where its pool was made with `pipeline: true`. Such a client pipelines by itself, and takes its own queries only. */
interface MayPipeline {
  readonly pipeline?: boolean;
}

async function oneByOne(client: PoolClient, statements: readonly Statement[]): Promise<readonly Completed[]> {
  const completed: Completed[] = [];
  for (const { text, values = [] } of statements) {
    const query = { text, values: [...values], queryMode: 'extended' };
    completed.push(await client.query(query));
  }
  return completed;
}

interface Field {
  readonly name: string;
  readonly dataTypeID: number;
}

/** As node-postgres takes queries of others: its Client calls these methods with what the server sends, and the callback on a timeout. */
class Pipeline implements Submittable {
  readonly #done: Completed[] = [];
  #fields: readonly Field[] = [];
  #rows: unknown[] = [];
  /** Of a row that could not be read. The server has gone on. */
  #unread: Error | undefined;

  constructor(
    private readonly client: PoolClient,
    private readonly statements: readonly Statement[],
    private readonly resolve: (completed: readonly Completed[]) => void,
    private readonly reject: (error: Error) => void,
  ) {}

  /** Called once. The client puts another one in its place that also stops its `query_timeout`. */
  callback = (error: Error | null): void => {
    if (error) this.reject(error);
    else this.resolve(this.#done);
  };

  /** @returns an error when nothing was sent: half a message would leave the session waiting for the rest */
  submit(connection: Connection): TypeError | undefined {
    const strange = this.statements.find(({ values = [] }) => values.some((value) => !isText(value)));
    if (strange)
      return new TypeError(`Nothing was sent: a value is neither a text nor null. The statement: ${strange.text}`);
    connection.stream.cork();
    for (const { text, values = [] } of this.statements) {
      connection.parse({ text, name: '', types: [] }, true);
      connection.bind({ values: [...values] }, true);
      connection.describe({ type: 'P', name: '' }, true);
      connection.execute({}, true);
    }
    // One for all: up to it the server skips what comes after a failure.
    connection.sync();
    connection.stream.uncork();
    return undefined;
  }

  handleRowDescription({ fields }: { readonly fields: readonly Field[] }): void {
    this.#fields = fields;
  }

  handleDataRow({ fields: values }: { readonly fields: readonly (string | null)[] }): void {
    try {
      const row = this.#fields.map(({ name, dataTypeID }, i) => {
        const value = values[i] ?? null;
        // Cast: its own type is any.
        const parse = this.client.getTypeParser(dataTypeID) as (text: string) => unknown;
        return [name, value === null ? null : parse(value)];
      });
      this.#rows.push(Object.fromEntries(row));
    } catch (error) {
      this.#unread ??= error instanceof Error ? error : new Error(String(error));
    }
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
    this.callback(error);
  }

  handleReadyForQuery(): void {
    this.callback(this.#unread ?? null);
  }
}

/** What comes over the wire is data, whatever its type says. */
const isText = (value: unknown): boolean => value === null || typeof value === 'string';
