/**
 * The transactions of other libraries, each by the real library on a real server: events exist exactly when its transaction commits,
 * and are what was given, whatever the library thinks of question marks and dollars.
 */
import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import knex from 'knex';
import { Kysely, PostgresDialect } from 'kysely';
import type { Pool } from 'pg';
import { migrate } from 'temporal-txn/participant';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { quietPool } from '../quiet-pool';
import { fromDrizzle, fromKnex, fromKysely, fromPrisma, fromTypeOrm } from '../../src/outbox/adapters';
import type { AdaptedTransaction } from '../../src/outbox/adapters';
import { defineOutbox } from '../../src/outbox/append';
import { usePostgres } from '../participant/fixture';
import { prismaClient } from './prisma-client';

const postgres = usePostgres();
const outbox = defineOutbox('/test');

/** A library with a connection, told what to do in a transaction: to write a business row by its own means, and to append. */
interface Library {
  transaction(
    work: (tx: AdaptedTransaction, insert: (id: string) => PromiseLike<unknown>) => Promise<void>,
  ): Promise<unknown>;
  /** Gives the adapter what is no transaction. */
  misuse(): unknown;
  /** A transaction inside another one that fails, where the library has such. */
  nested?(outer: string, inner: string): Promise<unknown>;
  close(): Promise<unknown>;
}

/** Its database is dropped right after the pool's end, which does not wait for its connections to be closed. */
function newPool(connectionString: string): Pool {
  const pool = quietPool({ connectionString });
  return pool;
}

const append = (tx: AdaptedTransaction, key: string, data: unknown = null): Promise<void> =>
  outbox.append(tx, [{ type: 'Tested', key, data, id: `id of ${key}` }]);

const undo = async (): Promise<never> => {
  throw new Error('undone');
};

const libraries: Record<string, (url: string) => Promise<Library>> = {
  Kysely: async (url) => {
    const db = new Kysely<{ business: { id: string } }>({
      dialect: new PostgresDialect({ pool: newPool(url) }),
    });
    return {
      transaction: (work) =>
        db
          .transaction()
          .execute((trx) => work(fromKysely(trx), (id) => trx.insertInto('business').values({ id }).execute())),
      // @ts-expect-error is found by the compiler already
      misuse: () => fromKysely(db),
      close: () => db.destroy(),
    };
  },

  Knex: async (url) => {
    const db = knex({ client: 'pg', connection: url });
    return {
      transaction: (work) => db.transaction((trx) => work(fromKnex(trx), (id) => trx('business').insert({ id }))),
      // @ts-expect-error is found by the compiler already
      misuse: () => fromKnex(db),
      nested: (outer, inner) =>
        db.transaction(async (trx) => {
          await append(fromKnex(trx), outer);
          await expect(trx.transaction((own) => append(fromKnex(own), inner).then(undo))).rejects.toThrow('undone');
        }),
      close: () => db.destroy(),
    };
  },

  Drizzle: async (url) => {
    const pool = newPool(url);
    const db = drizzle(pool);
    return {
      transaction: (work) =>
        db.transaction((tx) =>
          work(fromDrizzle(tx, sql), (id) => tx.execute(sql`insert into business (id) values (${id})`)),
        ),
      // @ts-expect-error is found by the compiler already
      misuse: () => fromDrizzle(db, sql),
      nested: (outer, inner) =>
        db.transaction(async (tx) => {
          await append(fromDrizzle(tx, sql), outer);
          await expect(tx.transaction((own) => append(fromDrizzle(own, sql), inner).then(undo))).rejects.toThrow(
            'undone',
          );
        }),
      close: () => pool.end(),
    };
  },

  Prisma: async (url) => {
    const prisma = prismaClient(url);
    return {
      transaction: (work) =>
        prisma.$transaction((tx) => work(fromPrisma(tx), (id) => tx.business.create({ data: { id } }))),
      // @ts-expect-error is found by the compiler already
      misuse: () => fromPrisma(prisma),
      close: () => prisma.$disconnect(),
    };
  },

  TypeORM: async (url) => {
    const source = await new DataSource({ type: 'postgres', url }).initialize();
    return {
      transaction: (work) =>
        source.transaction((manager) => work(fromTypeOrm(manager), (id) => manager.insert('business', { id }))),
      misuse: () => fromTypeOrm(source.manager),
      nested: (outer, inner) =>
        source.transaction(async (manager) => {
          await append(fromTypeOrm(manager), outer);
          await expect(manager.transaction((own) => append(fromTypeOrm(own), inner).then(undo))).rejects.toThrow(
            'undone',
          );
        }),
      close: () => source.destroy(),
    };
  },
};

const WITH_INNER_TRANSACTIONS = new Set(['Knex', 'Drizzle', 'TypeORM']);

/** Drizzle sends what comes after the end on the connection that it had. */
const TELLS_ITS_END = new Set(['Kysely', 'Knex', 'Prisma', 'TypeORM']);

let url: string;
let pool: Pool;
beforeAll(async () => {
  url = await postgres.createService('adapters');
  pool = newPool(url);
  await migrate(pool);
  await pool.query('create table business (id text primary key)');
});
afterAll(() => pool.end());

/** What is there of a key: in the outbox, in the relay's queue, and of the business. */
async function found(key: string): Promise<{ events: number; queued: number; rows: number }> {
  const { rows } = await pool.query<{ events: number; queued: number; rows: number }>(
    `select (select count(*)::integer from txn.outbox where key = $1) as events,
            (select count(*)::integer from txn.outbox_queue where key = $1) as queued,
            (select count(*)::integer from business where id = $1) as rows`,
    [key],
  );
  return rows[0] as { events: number; queued: number; rows: number };
}

describe.each(Object.entries(libraries))('a transaction of %s', (name, connect) => {
  let library: Library;
  beforeAll(async () => {
    library = await connect(url);
  });
  afterAll(() => library.close());

  it('has its events once it has committed, and not before', async () => {
    const key = `${name} commits`;
    await library.transaction(async (tx, insert) => {
      await insert(key);
      await append(tx, key);
      expect(await found(key)).toEqual({ events: 0, queued: 0, rows: 0 });
    });
    expect(await found(key)).toEqual({ events: 1, queued: 1, rows: 1 });
  });

  it('has none when it is rolled back, in whichever order they were written', async () => {
    for (const first of ['the row', 'the event']) {
      const key = `${name} rolls back after ${first}`;
      const attempt = library.transaction(async (tx, insert) => {
        if (first === 'the row') await insert(key);
        await append(tx, key);
        if (first === 'the event') await insert(key);
        await undo();
      });
      await expect(attempt).rejects.toThrow('undone');
      expect(await found(key)).toEqual({ events: 0, queued: 0, rows: 0 });
    }
  });

  it('is rolled back whole when the events cannot be appended', async () => {
    const key = `${name} repeats an id`;
    const attempt = library.transaction(async (tx, insert) => {
      await insert(key);
      await append(tx, key);
      await append(tx, key);
    });
    await expect(attempt).rejects.toThrow(/duplicate key|unique constraint|Failed query/i);
    expect(await found(key)).toEqual({ events: 0, queued: 0, rows: 0 });
  });

  it('takes any data as it is', async () => {
    const key = `${name} ' " ? $1 :name @p \\ % 事件 🎉`;
    const data = {
      quotes: `' '' " \\ \\' E'x' $$ $1 $2 \${x} ? ?? \\? :id @id -- /* */ ;`,
      unicode: 'żółć 事件 🎉 \u2028 \u202e \u0001',
      "'; drop table txn.outbox; --": [true, null, 1.5, -0.000001, '', [], {}],
      large: "?$1'".repeat(60_000),
    };
    await library.transaction((tx) => append(tx, key, data));
    const { rows } = await pool.query<{ id: string; data: unknown }>('select id, data from txn.outbox where key = $1', [
      key,
    ]);
    expect(rows).toEqual([{ id: `id of ${key}`, data }]);
  });

  it('answers the rows of any kind of statement, with its parameters in any order', async () => {
    const key = `${name} answers`;
    await library.transaction(async (tx) => {
      const statements: [string, string[]][] = [
        [`select $2::text as id, $1::text as other, '{"a": 1}'::jsonb ? $2::text as has`, ['x', 'a']],
        ['insert into business (id) values ($1) returning id', [key]],
        [`update business set id = id || $2::text where id = $1 returning id`, [key, '!']],
        ['delete from business where id = $1 returning id', [`${key}!`]],
        ['select id from business where id = $1', [key]],
      ];
      const answers: (readonly unknown[])[] = [];
      for (const [text, values] of statements) answers.push((await tx.query(text, values)).rows);
      expect(answers).toEqual([
        [{ id: 'a', other: 'x', has: true }],
        [{ id: key }],
        [{ id: `${key}!` }],
        [{ id: `${key}!` }],
        [],
      ]);
    });
  });

  if (WITH_INNER_TRANSACTIONS.has(name))
    it('undoes the events of a transaction inside it that fails, and keeps its own', async () => {
      await library.nested?.(`${name} outer`, `${name} inner`);
      expect(await found(`${name} outer`)).toMatchObject({ events: 1, queued: 1 });
      expect(await found(`${name} inner`)).toMatchObject({ events: 0, queued: 0 });
    });

  it('is not mistaken for the connection, on which events would be committed alone', async () => {
    expect(() => library.misuse()).toThrow(/^Nothing was appended: this is no open transaction of /);
  });

  if (TELLS_ITS_END.has(name))
    it('is of no use once it has ended', async () => {
      const key = `${name} has ended`;
      let ended: AdaptedTransaction | undefined;
      await library.transaction(async (tx) => void (ended = tx));
      await expect(append(ended as AdaptedTransaction, key)).rejects.toThrow();
      expect(await found(key)).toEqual({ events: 0, queued: 0, rows: 0 });
    });
});
