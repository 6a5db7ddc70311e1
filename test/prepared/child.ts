/**
 * A participant in a process of its own, for tests that kill it: answers one question, given as JSON, on standard output. Its crash
 * points are armed from the environment.
 */
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { Pool } from 'pg';
import { participantActivities } from 'temporal-txn/participant';
import { bank } from './bank';

async function main(url: string, taskQueue: string, question: string, request: string): Promise<void> {
  const pool = new Pool({ connectionString: url, max: 2 });
  const activity = participantActivities(bank, { pool })[question] as (request: object) => Promise<unknown>;
  const info = { startToCloseTimeoutMs: 10_000, attempt: 1, taskQueue };
  const environment = new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') });
  process.stdout.write(JSON.stringify(await environment.run(activity, JSON.parse(request) as object)));
  await pool.end();
}

const [, , url = '', taskQueue = '', question = '', request = ''] = process.argv;
main(url, taskQueue, question, request).catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
});
