/**
 * Transactions of other libraries, as the outbox, the inbox and the event store take them. By structure: none of the libraries is
 * imported, and test/outbox/adapters.test.ts proves each with the real one.
 *
 * Each refuses what is no transaction: with the library's connection in its place, the events would be committed at once and alone,
 * also where the business rows are not.
 */
import type { EventTransaction } from './append';

/** A transaction of another library. Every query answers its rows. */
export interface AdaptedTransaction extends EventTransaction {
  query(text: string, values: readonly string[]): Promise<{ readonly rows: readonly unknown[] }>;
}

/** A transaction of Kysely. */
interface KyselyTransaction {
  readonly isTransaction: true;
  executeQuery(query: {
    readonly sql: string;
    readonly parameters: readonly unknown[];
    readonly query: {
      readonly kind: 'RawNode';
      readonly sqlFragments: readonly string[];
      readonly parameters: readonly never[];
    };
    readonly queryId: { readonly queryId: string };
  }): Promise<{ readonly rows: unknown[] }>;
}

let queries = 0;

/**
 * @throws {TypeError} when it is the database instead of a transaction
 * @example await db.transaction().execute((trx) => outbox.append(fromKysely(trx), events));
 */
export function fromKysely(trx: KyselyTransaction): AdaptedTransaction {
  if (!trx.isTransaction) throw noTransaction('Kysely', 'the trx of db.transaction().execute(…) or startTransaction()');
  return {
    query: (sql, values) =>
      trx.executeQuery({
        sql,
        parameters: values,
        // What plugins see of it: a raw fragment, in which there is nothing to rewrite.
        query: { kind: 'RawNode', sqlFragments: [sql], parameters: [] },
        queryId: { queryId: `txn-${++queries}` },
      }),
  };
}

/** A transaction of Knex. */
interface KnexTransaction {
  readonly isTransaction?: boolean;
  isCompleted(): boolean;
  raw(sql: string, bindings: readonly string[]): PromiseLike<unknown>;
}

/**
 * @throws {TypeError} when it is no transaction, or one that has ended
 * @example await knex.transaction((trx) => outbox.append(fromKnex(trx), events));
 */
export function fromKnex(trx: KnexTransaction): AdaptedTransaction {
  const open = (): void => {
    if (trx.isTransaction !== true || trx.isCompleted())
      throw noTransaction('Knex', 'the trx of knex.transaction(…), until it has ended');
  };
  open();
  return {
    query: async (text, values) => {
      open();
      // Knex counts question marks; one of the statement itself is escaped.
      const bindings: string[] = [];
      const sql = splitAtParameters(text).map((part) => {
        if (typeof part === 'string') return part.replaceAll('?', '\\?');
        bindings.push(valueOf(values, part));
        return '?';
      });
      return rowsOf(await trx.raw(sql.join(''), bindings));
    },
  };
}

/** A transaction of Drizzle. Only transactions have `rollback`. */
interface DrizzleTransaction<Query> {
  execute(query: Query): PromiseLike<unknown>;
  rollback(): never;
}

/** Drizzle's `sql`. */
interface DrizzleSql<Chunk, Query> {
  raw(text: string): Chunk;
  param(value: string): unknown;
  join(chunks: Chunk[]): Query;
}

/**
 * Await what is appended inside the transaction: Drizzle does not tell that one has ended, and events would be committed alone.
 *
 * @param sql the `sql` of drizzle-orm
 * @throws {TypeError} when it is the database instead of a transaction
 * @example await db.transaction((tx) => outbox.append(fromDrizzle(tx, sql), events));
 */
export function fromDrizzle<Chunk, Query>(
  tx: DrizzleTransaction<Query>,
  sql: DrizzleSql<Chunk, Query>,
): AdaptedTransaction {
  if (typeof tx.rollback !== 'function') throw noTransaction('Drizzle', 'the tx of db.transaction(…)');
  return {
    query: async (text, values) => {
      const chunks = splitAtParameters(text).map((part) =>
        typeof part === 'string' ? sql.raw(part) : (sql.param(valueOf(values, part)) as Chunk),
      );
      return rowsOf(await tx.execute(sql.join(chunks)));
    },
  };
}

/** A client of Prisma inside an interactive transaction. */
interface PrismaTransaction {
  $queryRawUnsafe(sql: string, ...values: string[]): PromiseLike<unknown>;
}

/**
 * Takes the client of an interactive transaction; Prisma's transactions that are a list of queries have none.
 *
 * @throws {TypeError} when it is the client itself instead of a transaction
 * @example await prisma.$transaction((tx) => outbox.append(fromPrisma(tx), events));
 */
export function fromPrisma(tx: PrismaTransaction & { readonly $connect?: never }): AdaptedTransaction {
  if (tx.$connect !== undefined) throw noTransaction('Prisma', 'the tx of prisma.$transaction(async (tx) => …)');
  return { query: async (text, values) => rowsOf(await tx.$queryRawUnsafe(text, ...values)) };
}

/** An entity manager of TypeORM. */
interface TypeOrmManager {
  readonly queryRunner?:
    | {
        readonly isTransactionActive: boolean;
        query(sql: string, values: string[], structured: true): Promise<{ readonly records: unknown[] }>;
      }
    | undefined;
}

/**
 * @throws {TypeError} when it is the manager of a data source instead of a transaction, or of one that has ended
 * @example await dataSource.transaction((manager) => outbox.append(fromTypeOrm(manager), events));
 */
export function fromTypeOrm(manager: TypeOrmManager): AdaptedTransaction {
  const runner = (): NonNullable<TypeOrmManager['queryRunner']> => {
    if (manager.queryRunner?.isTransactionActive !== true)
      throw noTransaction('TypeORM', 'the manager of dataSource.transaction(…), until it has ended');
    return manager.queryRunner;
  };
  runner();
  return {
    // Unstructured answers have another shape for each kind of statement.
    query: async (text, values) => ({ rows: (await runner().query(text, [...values], true)).records }),
  };
}

const noTransaction = (library: string, remedy: string): TypeError =>
  new TypeError(`Nothing was appended: this is no open transaction of ${library}. Use ${remedy}.`);

/** What drivers answer to a query: node-postgres an object with rows, postgres.js and Prisma the rows. */
function rowsOf(answer: unknown): { readonly rows: readonly unknown[] } {
  return Array.isArray(answer) ? { rows: answer as unknown[] } : (answer as { readonly rows: readonly unknown[] });
}

/** The text between the parameters $1, $2, … and their numbers. Only for our own statements: it knows nothing of quotes. */
function splitAtParameters(text: string): (string | number)[] {
  return text.split(/\$(\d+)/).map((part, at) => (at % 2 === 0 ? part : Number(part)));
}

function valueOf(values: readonly string[], parameter: number): string {
  const value = values[parameter - 1];
  if (value === undefined) throw new RangeError(`Nothing was sent: there is no value for the parameter $${parameter}.`);
  return value;
}
