/**
 * A relay as a process of its own, which a test kills: it publishes into a table of another database. Its crash points are armed from
 * the environment.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { relay } from '../../src/outbox';

async function main(): Promise<void> {
  const { OUTBOX_URL, TARGET_URL, SEAT = '0', SEATS = '1', LATENCY_MS = '0' } = process.env;
  const pool = new Pool({ connectionString: OUTBOX_URL, max: 3 });
  const target = new Pool({ connectionString: TARGET_URL, max: 8 });
  const stop = new AbortController();
  process.on('SIGTERM', () => stop.abort());
  await relay({
    pool,
    owner: `process ${process.pid}`,
    seat: Number(SEAT),
    seats: Number(SEATS),
    batch: 50,
    concurrency: 8,
    pollMs: 100,
    backoff: { firstMs: 10, longestMs: 100 },
    stop: stop.signal,
    publisher: {
      publish: async ({ key, version, id }) => {
        await sleep(Math.random() * Number(LATENCY_MS));
        await target.query('insert into published (key, version, id, pid) values ($1, $2, $3, $4)', [
          key,
          version,
          id,
          process.pid,
        ]);
      },
    },
  });
  await Promise.all([pool.end(), target.end()]);
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
});
