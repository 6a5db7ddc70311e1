/** The one-shot container of docker compose that prepares everything which the workers need. Safe to run again. */
import { Client } from 'pg';
import { connectTemporal, registerSearchAttributes } from 'temporal-txn/client';
import { services } from '../activities/services';
import type { ServiceName } from '../activities/services';
import { setUpService } from '../activities/setup';

const ON_SERVER_A: readonly ServiceName[] = ['north-bank', 'inventory', 'shipping', 'notifications'];

async function main(): Promise<void> {
  const client = await connectTemporal();
  await registerSearchAttributes(client.connection, client.options.namespace);
  await client.connection.close();
  const password = required('SERVICE_PASSWORD');
  for (const service of Object.keys(services) as ServiceName[]) {
    const admin = required(ON_SERVER_A.includes(service) ? 'POSTGRES_A_URL' : 'POSTGRES_B_URL');
    await createDatabase(admin, service, password);
    await setUpService(service, addressOf(admin, service, password));
    console.log(`${service}: ready`);
  }
}

/** A role of its own that owns a database of its own, and nobody else may enter. */
async function createDatabase(admin: string, service: ServiceName, password: string): Promise<void> {
  const client = new Client({ connectionString: admin });
  await client.connect();
  try {
    const name = client.escapeIdentifier(service);
    const known = async (query: string): Promise<boolean> => (await client.query(query, [service])).rowCount === 1;
    if (!(await known('select from pg_roles where rolname = $1')))
      await client.query(`create role ${name} login nosuperuser`);
    await client.query(`alter role ${name} password ${client.escapeLiteral(password)}`);
    if (!(await known('select from pg_database where datname = $1')))
      await client.query(`create database ${name} owner ${name}`);
    await client.query(`revoke connect on database ${name} from public`);
  } finally {
    await client.end();
  }
}

function addressOf(admin: string, service: ServiceName, password: string): string {
  const url = new URL(admin);
  url.username = service;
  url.password = encodeURIComponent(password);
  url.pathname = `/${service}`;
  return url.href;
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`Nothing was changed: ${name} is not set.`);
  return value;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
