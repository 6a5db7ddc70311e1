/**
 * A program for tests that end it in every way: it starts processes of the kinds that the argument names, says "ready" and waits.
 * `once` starts and stops a PostgreSQL server as any program would.
 */
import { join } from 'node:path';
import { Client } from 'pg';

import { PostgresServer, spawnGuarded, startTimeSkipping, TemporalDevServer } from '../../src/testing';

async function main(mode: string, directory: string): Promise<void> {
  if (mode === 'worker') {
    await spawnGuarded(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  } else {
    const postgres = await PostgresServer.start({ directory: join(directory, 'postgres'), durable: false });
    const client = new Client({ connectionString: await postgres.createService('accounts') });
    client.on('error', () => undefined);
    await client.connect();
    await client.query(`CREATE TABLE t (i int); BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'in-doubt'`);
    if (mode === 'once') {
      await client.end();
      await postgres.stop();
      return;
    }
    await Promise.all([
      TemporalDevServer.start({ directory: join(directory, 'temporal'), uiPort: false }),
      startTimeSkipping(),
    ]);
  }
  process.on('message', () => process.exit(3));
  process.stdout.write('ready\n');
}

main(process.argv[2] ?? '', process.argv[3] ?? '').catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
});
