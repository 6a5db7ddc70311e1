/** The one-shot container of docker compose that prepares everything which the workers need. Safe to run again. */
import { Client } from 'pg';
import { connectTemporal, registerSearchAttributes } from 'temporal-txn/client';
import { services } from '../activities/services';
import type { ServiceName } from '../activities/services';
import { setUpService } from '../activities/setup';

const ON_SERVER_A: readonly ServiceName[] = [
  'north-bank',
  'inventory',
  'shipping',
  'notifications',
  'savings',
  'airline',
  'car-rental',
];

async function main(): Promise<void> {
  const client = await connectTemporal();
  await registerSearchAttributes(client.connection, client.options.namespace);
  await client.connection.close();
  const passwords = { owner: required('OWNER_PASSWORD'), worker: required('SERVICE_PASSWORD') };
  for (const service of Object.keys(services) as ServiceName[]) {
    const admin = required(ON_SERVER_A.includes(service) ? 'POSTGRES_A_URL' : 'POSTGRES_B_URL');
    const worker = `${service}-worker`;
    await createDatabase(admin, service, { [service]: passwords.owner, [worker]: passwords.worker });
    await setUpService(service, addressOf(admin, service, passwords.owner), worker);
    console.log(`${service}: ready`);
  }
}

/**
 * A database that nobody may enter but these roles.
 *
 * @param passwords by role: the service's own name is its owner, the other one, its workers', owns nothing
 */
async function createDatabase(
  admin: string,
  service: ServiceName,
  passwords: Readonly<Record<string, string>>,
): Promise<void> {
  const client = new Client({ connectionString: admin });
  await client.connect();
  try {
    const known = async (query: string, value: string): Promise<boolean> =>
      (await client.query(query, [value])).rowCount === 1;
    for (const [role, password] of Object.entries(passwords)) {
      const name = client.escapeIdentifier(role);
      if (!(await known('select from pg_roles where rolname = $1', role)))
        await client.query(`create role ${name} login nosuperuser nocreatedb nocreaterole noreplication`);
      await client.query(`alter role ${name} password ${client.escapeLiteral(password)}`);
    }
    const database = client.escapeIdentifier(service);
    if (!(await known('select from pg_database where datname = $1', service)))
      await client.query(`create database ${database} owner ${database}`);
    await client.query(`revoke all on database ${database} from public`);
    for (const role of Object.keys(passwords))
      await client.query(`grant connect on database ${database} to ${client.escapeIdentifier(role)}`);
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
