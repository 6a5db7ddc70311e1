import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished, describe, expect, it, vi } from 'vitest';

import { DirectoryInUse, makePostgresTemplate, PostgresServer } from '../../src/testing';
import type { PostgresServerOptions } from '../../src/testing';
import { query, survivors, temporaryDirectory } from './fixture';

async function start(directory: string, options: Partial<PostgresServerOptions> = {}): Promise<PostgresServer> {
  const server = await PostgresServer.start({ directory, durable: false, ...options });
  onTestFinished(() => server.stop());
  return server;
}

const postmasterPid = (server: PostgresServer): number =>
  Number(readFileSync(join(server.directory, 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);

describe('an embedded PostgreSQL server', () => {
  it('keeps committed and prepared transactions through a crash, and its port', async () => {
    const server = await start(temporaryDirectory());
    const url = await server.createService('accounts');
    await query(url, `CREATE TABLE t (i int); INSERT INTO t VALUES (1)`);
    await query(url, `BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'in-doubt'`);
    const { port } = server;
    const pid = postmasterPid(server);

    await server.kill();
    expect(server.running).toBe(false);
    expect(await survivors([pid], 0)).toEqual([]);
    await expect(query(url, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);

    await server.restart();
    expect(server.port).toBe(port);
    expect(await query(url, 'SELECT gid FROM pg_prepared_xacts')).toEqual([{ gid: 'in-doubt' }]);
    await query(url, `COMMIT PREPARED 'in-doubt'`);
    expect(await query(url, 'SELECT i FROM t ORDER BY i')).toEqual([{ i: 1 }, { i: 2 }]);
  });

  it('is a copy of the template that is named, and is made anew where none is, or where it is durable', async () => {
    onTestFinished(() => void vi.unstubAllEnvs());
    const identifierOf = async (options: Partial<PostgresServerOptions> = {}): Promise<unknown> => {
      const server = await start(temporaryDirectory(), options);
      const [found] = await query(server.adminUrl, 'select system_identifier::text as id from pg_control_system()');
      return found?.['id'];
    };
    vi.stubEnv('TXN_POSTGRES_TEMPLATE', '');
    const anew = await identifierOf();
    vi.stubEnv('TXN_POSTGRES_TEMPLATE', await makePostgresTemplate(temporaryDirectory()));
    const copied = await identifierOf();
    expect(await identifierOf()).toBe(copied);
    expect(await identifierOf({ durable: true })).not.toBe(copied);
    expect(anew).not.toBe(copied);
  });

  it('starts again where it stopped: data, passwords and port', async () => {
    const directory = temporaryDirectory();
    const first = await start(directory);
    const url = await first.createService('orders');
    await query(url, 'CREATE TABLE t AS SELECT 7 AS i');
    const pid = postmasterPid(first);
    await first.stop();
    await first.stop();
    expect(await survivors([pid], 0)).toEqual([]);

    const second = await start(directory);
    expect(await second.createService('orders')).toBe(url);
    expect(await query(url, 'SELECT i FROM t')).toEqual([{ i: 7 }]);
    expect(statSync(join(second.directory, 'passwords.json')).mode & 0o777).toBe(0o600);
  });

  it('keeps services out of each other’s databases and listens on the loopback interface only', async () => {
    const server = await start(temporaryDirectory(), { settings: { max_prepared_transactions: 3 } });
    const [accounts, audit] = await Promise.all([server.createService('accounts'), server.createService('audit')]);
    await expect(query(accounts.replace(/\/accounts$/, '/audit'), 'SELECT 1')).rejects.toThrow(/permission denied/);
    expect(await query(audit, 'SHOW is_superuser')).toEqual([{ is_superuser: 'off' }]);
    expect(await query(audit, 'SHOW max_prepared_transactions')).toEqual([{ max_prepared_transactions: '3' }]);
    expect(await query(audit, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
    const password = new URL(accounts).password;
    expect(readFileSync(join(server.directory, 'postgres.log'), 'utf8')).not.toContain(password);
    await expect(server.createService('Robert"; DROP')).rejects.toThrow(/Nothing was changed/);
  });

  it('refuses a directory that is in use, and takes one whose pid file names somebody else’s process', async () => {
    const directory = temporaryDirectory();
    const server = await start(directory);
    await expect(start(directory)).rejects.toThrow(DirectoryInUse);
    await server.stop();
    writeFileSync(join(server.directory, 'data', 'postmaster.pid'), `${process.pid}\n${directory}\n`);
    await expect(start(directory)).resolves.toMatchObject({ running: true });
  });

  it('says what is wrong with a setting, and leaves nothing running', async () => {
    await expect(start(temporaryDirectory(), { settings: { shared_buffers: 'lots' } })).rejects.toThrow(
      /^Nothing is left running: PostgreSQL did not become ready .*shared_buffers/s,
    );
  });
});
