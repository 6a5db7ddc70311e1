/** A relay's worker as a process of its own, which a test kills: it publishes into a table, and says which process did. */
import { Pool } from 'pg';
import { UnpublishableEventError } from '../../src/outbox';
import { runOutboxRelay } from '../../src/worker';

async function main(): Promise<void> {
  const { SERVICE = '', DATABASE_URL: connectionString = '', SEATS = '2' } = process.env;
  const target = new Pool({ connectionString });
  const worker = await runOutboxRelay(SERVICE, {
    database: { connectionString },
    seats: Number(SEATS),
    publisher: {
      publish: async ({ key, version, type }) => {
        if (type === 'Poison') throw new UnpublishableEventError('nobody wants it');
        await target.query('insert into published (key, version, pid) values ($1, $2, $3)', [
          key,
          version,
          process.pid,
        ]);
      },
    },
  });
  await worker.stopped;
  await target.end();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
