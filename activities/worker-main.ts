/** What the main module of every service's worker does: run until told to stop, and say what went wrong if it cannot. */
import type { Participant } from 'temporal-txn/participant';
import { runParticipant } from 'temporal-txn/worker';

/**
 * Runs the worker of a service on the database that DATABASE_URL names.
 *
 * @param name of the service, where one declaration is deployed under several
 */
export function runService(participant: Participant, name: string = participant.name): void {
  const connectionString = process.env['DATABASE_URL'];
  if (connectionString === undefined || connectionString === '') {
    console.error(`Nothing was started: ${name} needs DATABASE_URL, the address of its PostgreSQL database.`);
    process.exitCode = 2;
    return;
  }
  run(participant, name, connectionString).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
}

async function run(participant: Participant, name: string, connectionString: string): Promise<void> {
  const worker = await runParticipant(participant, { name, database: { connectionString } });
  console.log(`${name}: running, health at ${worker.healthUrl}`);
  await worker.stopped;
}
