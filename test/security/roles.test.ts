/** Every service's database has the roles that docs/security.md says, with the rights that it says and no others, whoever has set it up. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { PURGE_RIGHTS, WORKER_RIGHTS } from 'temporal-txn/participant';
import type { TableRights } from 'temporal-txn/participant';
import { PostgresServer, TemporalDevServer } from 'temporal-txn/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quietPool } from '../quiet-pool';
import { services } from '../../activities/services';
import { setUpService } from '../../activities/setup';

const root = resolve(__dirname, '../..');

/** Rights by table, as a text. */
const told = (rights: readonly TableRights[]): Record<string, string> =>
  Object.fromEntries(rights.map(({ table, privileges }) => [table, [...privileges].sort().join(', ')]));

describe('docs/security.md', () => {
  it('lists the rights as they are granted', () => {
    const page = readFileSync(join(root, 'docs/security.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `txn\.(\w+)`\s+\| ([a-z, ]+?)\s+\|\s*([a-z, ]*?)\s*\|$/gm)];
    const column = (number: number) =>
      Object.fromEntries(
        rows
          .filter((row) => row[number] !== '')
          .map((row): [string, string] => [row[1] ?? '', (row[number] ?? '').split(', ').sort().join(', ')]),
      );
    expect(column(2)).toEqual(told(WORKER_RIGHTS));
    expect(column(3)).toEqual(told(PURGE_RIGHTS));
  });
});

let server: PostgresServer;
let temporal: TemporalDevServer;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'txn-roles-'));
  chmodSync(directory, 0o711);
  [server, temporal] = await Promise.all([
    PostgresServer.start({ directory, durable: false }),
    TemporalDevServer.start({ uiPort: false }),
  ]);
  // As docker compose does: its own program, on one server in the place of two.
  await promisify(execFile)(process.execPath, [join(root, 'dist/demo/compose-setup.js')], {
    env: {
      PATH: process.env['PATH'],
      TEMPORAL_ADDRESS: temporal.address,
      POSTGRES_A_URL: server.adminUrl,
      POSTGRES_B_URL: server.adminUrl,
      OWNER_PASSWORD: 'owner',
      SERVICE_PASSWORD: 'service',
    },
  });
  // As the embedded stack does.
  const owner = await server.createService('north_bank');
  await server.createServiceWorker('north_bank');
  await setUpService('north-bank', owner, 'north_bank_worker');
});
afterAll(async () => {
  await Promise.all([server?.stop(), temporal?.stop()]);
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});

/** A database with what its owner and its workers may do. */
async function look(database: string, worker: string) {
  const url = new URL(server.adminUrl);
  url.pathname = `/${database}`;
  const pool = quietPool({ connectionString: url.href, max: 1 });
  const rows = async (sql: string): Promise<Record<string, unknown>[]> =>
    (await pool.query<Record<string, unknown>>(sql, [worker])).rows;
  try {
    const [attributes] = await rows(
      `select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolcanlogin,
              (select count(*)::int from pg_auth_members m where m.member = r.oid) as member_of
         from pg_roles r where rolname = $1`,
    );
    const [owns] = await rows(
      `select count(*)::int as things from pg_class c join pg_roles r on r.oid = c.relowner and r.rolname = $1`,
    );
    const entering = await rows(
      `select coalesce(r.rolname, 'public') as role, string_agg(privilege_type, ', ' order by privilege_type) as may
         from pg_database d cross join aclexplode(d.datacl) a left join pg_roles r on r.oid = a.grantee
        where d.datname = current_database() and $1::text is not null group by 1 order by 1`,
    );
    const granted = await rows(
      `select table_schema as schema, table_name as "table", string_agg(lower(privilege_type), ', ' order by lower(privilege_type)) as may
         from information_schema.role_table_grants where grantee = $1 group by 1, 2`,
    );
    const functions = await rows(
      `select count(*)::int as secured from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname in ('txn', 'public') and p.prosecdef and $1::text is not null`,
    );
    return { attributes, owns, entering, granted, functions };
  } finally {
    await pool.end();
  }
}

const DATABASES = [
  ...Object.keys(services).map((name) => [name, name, `${name}-worker`] as const),
  ['the embedded stack', 'north_bank', 'north_bank_worker'] as const,
];

describe('the database of', () => {
  it.each(DATABASES)(
    '%s is worked with by a role that may do what is documented, and nothing else',
    async (_, database, worker) => {
      const { attributes, owns, entering, granted, functions } = await look(database, worker);
      expect(attributes).toEqual({
        rolsuper: false,
        rolcreatedb: false,
        rolcreaterole: false,
        rolreplication: false,
        rolbypassrls: false,
        rolcanlogin: true,
        member_of: 0,
      });
      expect(owns).toEqual({ things: 0 });
      expect(entering).toEqual([
        { role: database, may: expect.stringContaining('CONNECT') },
        { role: worker, may: 'CONNECT' },
      ]);
      const inSchema = (schema: string) =>
        Object.fromEntries(
          granted
            .filter((one) => one['schema'] === schema)
            .map(({ table, may }): [string, unknown] => [String(table), may]),
        );
      expect(inSchema('txn')).toEqual(told(WORKER_RIGHTS));
      // Its own tables: rows, and nothing that changes a table.
      const own = Object.values(inSchema('public'));
      expect(own.length).toBeGreaterThan(0);
      expect(new Set(own)).toEqual(new Set(['delete, insert, select, update']));
      // None that would act with the rights of its owner.
      expect(functions).toEqual([{ secured: 0 }]);
    },
  );

  it('one service is closed to the role of another', async () => {
    const url = new URL(server.adminUrl);
    url.username = 'audit-worker';
    url.password = 'service';
    url.pathname = '/payments';
    const pool = quietPool({ connectionString: url.href, max: 1 });
    await expect(pool.query('select 1')).rejects.toMatchObject({ code: '42501' });
    await pool.end();
  });
});
