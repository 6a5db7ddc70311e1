/**
 * Several statements in one message to PostgreSQL, answered by one: what would be a round trip each is one. After the first that fails
 * the server skips the others.
 *
 * Their values travel beside them, as in every statement of the extended protocol: they are neither escaped nor logged as its text.
 *
 * @see PostgreSQL manual, "Message Flow", 55.2.4 Pipelining
 */
import { createHash } from 'node:crypto';
import type { Connection, PoolClient, Submittable } from 'pg';
import { isDatabaseError } from './sqlstate';

/** One SQL statement. */
export interface Statement {
  readonly text: string;
  /** For `$1`, `$2`, … */
  readonly values?: readonly (string | null)[];
  /**
   * Of what is sent all the time: the session keeps it under this name, parsed and planned, as long as it lives. For statements whose plan
   * cannot become a bad one while tables grow, whose rows nobody reads, and which run nothing of others: no COMMIT, for its triggers.
   */
  readonly keptAs?: string;
}

/** What one statement came to. */
export interface Completed {
  /** The first word of its command tag, as node-postgres has it: of PREPARE TRANSACTION it is `PREPARE`. */
  readonly command: string;
  readonly rowCount: number | null;
  /** None of a statement that the session keeps. */
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
  const pipeline = new Pipeline(client, statements);
  try {
    return await pipeline.sent();
  } catch (error) {
    // Nothing was run. From now on the session keeps nothing, and so cannot forget it again.
    if (pipeline.isForgottenAtOnce) return pipelined(client, statements);
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

/**
 * What the session of a connection keeps. Nothing, once it has forgotten something: it was told to (DISCARD ALL), or a pooler has put
 * another session in its place.
 */
const keptBy = new WeakMap<Connection, Set<string> | 'nothing'>();

function keptOf(connection: Connection): Set<string> | 'nothing' {
  const known = keptBy.get(connection) ?? new Set();
  keptBy.set(connection, known);
  return known;
}

const names = new Map<string, string>();

/** Another text, of another version of this package, has another name: sessions may be shared. */
function nameOf({ keptAs, text }: Statement): string {
  if (keptAs === undefined) return '';
  const known = names.get(text);
  if (known !== undefined) return known;
  const name = `${keptAs} ${createHash('sha256').update(text).digest('hex').slice(0, 8)}`;
  names.set(text, name);
  return name;
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
  #connection: Connection | undefined;
  /** Those that the session was said to have, by position. */
  readonly #trusted = new Set<number>();
  #isForgotten = false;
  #resolve: (completed: readonly Completed[]) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(
    private readonly client: PoolClient,
    private readonly statements: readonly Statement[],
  ) {}

  /** Sends it, once. */
  sent(): Promise<readonly Completed[]> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.client.query(this);
    });
  }

  /** Whether the session did not have the first one, and so has run none. */
  get isForgottenAtOnce(): boolean {
    return this.#isForgotten && this.#done.length === 0;
  }

  /** Called once. The client puts another one in its place that also stops its `query_timeout`. */
  callback = (error: Error | null): void => {
    if (error) this.#reject(error);
    else this.#resolve(this.#done);
  };

  /** @returns an error when nothing was sent: half a message would leave the session waiting for the rest */
  submit(connection: Connection): TypeError | undefined {
    const strange = this.statements.find(({ values = [] }) => values.some((value) => !isText(value)));
    if (strange)
      return new TypeError(`Nothing was sent: a value is neither a text nor null. The statement: ${strange.text}`);
    this.#connection = connection;
    const kept = keptOf(connection);
    const parsed = new Set<string>();
    connection.stream.cork();
    for (const [i, statement] of this.statements.entries()) {
      const { text, values = [] } = statement;
      const name = kept === 'nothing' ? '' : nameOf(statement);
      if (kept !== 'nothing' && kept.has(name)) this.#trusted.add(i);
      else if (!parsed.has(name)) {
        // Where it was parsed and then failed, it is there, and cannot be parsed again.
        if (name !== '') connection.close({ type: 'S', name }, true);
        connection.parse({ text, name, types: [] }, true);
        if (name !== '') parsed.add(name);
      }
      connection.bind({ statement: name, values: [...values] }, true);
      if (statement.keptAs === undefined) connection.describe({ type: 'P', name: '' }, true);
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
    if (this.statements[this.#done.length]?.keptAs !== undefined) return;
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
    // Whatever else an operation has run may have the same code.
    this.#isForgotten = this.#trusted.has(this.#done.length) && isDatabaseError(error) && error.code === '26000';
    this.#remember();
    this.callback(error);
  }

  handleReadyForQuery(): void {
    this.#remember();
    this.callback(this.#unread ?? null);
  }

  /** What was run is kept. */
  #remember(): void {
    const connection = this.#connection;
    if (!connection) return;
    const kept = keptOf(connection);
    if (kept === 'nothing') return;
    if (this.#isForgotten) keptBy.set(connection, 'nothing');
    else
      for (const statement of this.statements.slice(0, this.#done.length))
        if (statement.keptAs !== undefined) kept.add(nameOf(statement));
  }
}

/** What comes over the wire is data, whatever its type says. */
const isText = (value: unknown): boolean => value === null || typeof value === 'string';
