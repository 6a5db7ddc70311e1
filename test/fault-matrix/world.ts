/**
 * Two participants on one server, each with a database, and a lane for each case that runs at a time: connections of its own that
 * go through fault proxies of its own. What a test looks at, it looks at directly.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { Pool } from 'pg';
import { defineParticipant, keyOf, migrate, operation, participantActivities, refuse } from 'temporal-txn/participant';
import type { Participant, ParticipantActivities } from 'temporal-txn/participant';
import { PostgresFaultProxy, PostgresServer } from 'temporal-txn/testing';
import { z } from 'zod';
import { quietPool } from '../quiet-pool';

export type Name = 'north' | 'south';
export const NAMES: readonly Name[] = ['north', 'south'];

const QUIET = new DefaultLogger('ERROR');
/** Lock < statement < idle in transaction < start-to-close. */
const TIMEOUTS = { lockMs: 150, statementMs: 400, idleInTransactionMs: 700, startToCloseMs: 1_000 };
const CONNECTIONS_OF_A_LANE = 6;

const SCHEMA = `
  create table account (id text primary key, balance int not null check (balance >= 0));
  create table effect (transaction_id text not null, branch_id text not null);
  create index on effect (transaction_id)`;
const EFFECT = 'insert into effect (transaction_id, branch_id) values ($1, $2)';

/** Recovery forgets what has ended in the whole database, of other cases, too: here each lane forgets its own. */
const FORGETTING = `
  create function own_lane() returns trigger language plpgsql as $$
  begin
    if starts_with(old.transaction_id, current_setting('application_name')) then return old; end if;
    return null;
  end $$;
  create trigger own_lane before delete on txn.preparation for each row execute function own_lane()`;

const payment = z.object({ account: z.string(), amount: z.int(), swallow: z.boolean().optional() });

const north = defineParticipant('north', {
  debit: operation({
    input: payment,
    async execute(tx, { account, amount }) {
      const { rows } = await tx.query<{ balance: number }>(
        'update account set balance = balance - $2 where id = $1 and balance >= $2 returning balance',
        [account, amount],
      );
      if (!rows[0]) refuse('insufficient-funds', 'No.');
      await tx.query(EFFECT, [tx.transaction, tx.branch]);
      return { balance: rows[0].balance };
    },
  }),
});

const south = defineParticipant('south', {
  credit: operation({
    input: payment,
    async execute(tx, { account, amount, swallow }) {
      const { rows } = await tx.query<{ balance: number }>(
        'update account set balance = balance + $2 where id = $1 returning balance',
        [account, amount],
      );
      if (!rows[0]) refuse('unknown-account', 'No.');
      await tx.query(EFFECT, [tx.transaction, tx.branch]);
      // A mistake that PREPARE TRANSACTION has to answer for.
      if (swallow) await tx.query('select 1 / 0').catch(() => undefined);
      return { balance: rows[0].balance };
    },
  }),
});

const PARTICIPANTS: Readonly<Record<Name, Participant>> = { north, south };

/** A participant as one process runs it. */
export class Bank {
  readonly #activities: ParticipantActivities;

  constructor(
    readonly name: Name,
    readonly pool: Pool,
    readonly proxy?: PostgresFaultProxy,
  ) {
    this.#activities = participantActivities(PARTICIPANTS[name], { pool, timeouts: TIMEOUTS });
  }

  /** One attempt, as Temporal would have it. */
  run(type: string, request: object, attempt: number): Promise<unknown> {
    const activity = this.#activities[type] as ((request: object) => Promise<unknown>) | undefined;
    if (!activity) throw new Error(`There is no activity ${type}.`);
    const info = { startToCloseTimeoutMs: TIMEOUTS.startToCloseMs, attempt, taskQueue: this.name };
    return new MockActivityEnvironment(info, { logger: QUIET }).run(activity, request);
  }
}

/** Both participants behind proxies. Has one case at a time. */
export class Lane {
  private constructor(
    readonly label: string,
    private readonly banks: Readonly<Record<Name, Bank>>,
  ) {}

  static async open(label: string, { server, urls }: World): Promise<Lane> {
    const open = async (name: Name): Promise<Bank> => {
      const proxy = await PostgresFaultProxy.start({ target: server });
      const pool = quietPool({
        connectionString: proxy.url(urls[name]),
        max: CONNECTIONS_OF_A_LANE,
        idleTimeoutMillis: 0,
        connectionTimeoutMillis: 8_000,
        application_name: label,
      });
      return new Bank(name, pool, proxy);
    };
    return new Lane(label, { north: await open('north'), south: await open('south') });
  }

  at(name: Name): Bank {
    return this.banks[name];
  }

  heal(): void {
    for (const name of NAMES) this.banks[name].proxy?.heal();
  }

  async close(): Promise<void> {
    for (const { pool, proxy } of Object.values(this.banks)) {
      await proxy?.stop();
      await pool.end();
    }
  }
}

/** What the database says of one branch, all of it committed. */
export interface Standing {
  readonly balance: number;
  readonly effects: number;
  /** States of its branch-log rows. */
  readonly states: readonly string[];
  readonly prepared: readonly string[];
}

export class World {
  private constructor(
    readonly server: PostgresServer,
    readonly urls: Readonly<Record<Name, string>>,
    private readonly looks: Readonly<Record<Name, Pool>>,
    private readonly directs: Readonly<Record<Name, Bank>>,
    private readonly directory: string,
  ) {}

  static async start(): Promise<World> {
    const directory = mkdtempSync(join(tmpdir(), 'txn-fault-matrix-'));
    chmodSync(directory, 0o711);
    const settings = { max_connections: 500, max_prepared_transactions: 200 };
    const server = await PostgresServer.start({ directory, durable: false, settings });
    const urls = { north: await server.createService('north'), south: await server.createService('south') };
    const look = (name: Name): Pool => {
      const url = new URL(server.adminUrl);
      url.pathname = `/${name}`;
      return quietPool({ connectionString: url.href, max: 6 });
    };
    const direct = (name: Name): Bank =>
      new Bank(name, quietPool({ connectionString: urls[name], max: 6, application_name: 'direct' }));
    const world = new World(
      server,
      urls,
      { north: look('north'), south: look('south') },
      { north: direct('north'), south: direct('south') },
      directory,
    );
    for (const name of NAMES) {
      await migrate(world.direct(name).pool);
      await world.direct(name).pool.query(`${SCHEMA};${FORGETTING}`);
    }
    return world;
  }

  /** The participant without a proxy before it. */
  direct(name: Name): Bank {
    return this.directs[name];
  }

  /** As a superuser, past every proxy. */
  async rows<Row extends object>(name: Name, sql: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.looks[name].query<Row>(sql, values)).rows;
  }

  async standing(name: Name, transaction: string, account: string): Promise<Standing> {
    const [row] = await this.rows<Standing>(
      name,
      `select (select balance from account where id = $2) as balance,
              (select count(*)::int from effect where transaction_id = $1) as effects,
              array(select state from txn.branch where transaction_id = $1) as states,
              array(select gid from pg_prepared_xacts where database = current_database() and strpos(gid, $3) > 0) as prepared`,
      [transaction, account, keyOf(transaction)],
    );
    if (!row) throw new Error('A select without a table has one row.');
    return row;
  }

  /** Sessions of a lane, or of a transaction, that are in the middle of something. */
  async busy(label: string, transaction: string): Promise<string[]> {
    const rows = await this.rows<{ session: string }>(
      'north',
      `select concat_ws(' ', datname, application_name, state, left(query, 60)) as session from pg_stat_activity
        where (application_name = $1 or strpos(application_name, $2) > 0) and state <> 'idle'`,
      [label, transaction.slice(0, 30)],
    );
    return rows.map(({ session }) => session);
  }

  async stop(): Promise<void> {
    await Promise.all(NAMES.flatMap((name) => [this.looks[name].end(), this.directs[name].pool.end()]));
    await this.server.stop();
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}
