/**
 * A cluster that others are copied from. `initdb` takes a second of a processor's time, which is most of what the start of a server for
 * tests takes, and a copy a tenth of it. All copies have the password of the template's superuser, and its system identifier.
 */
import { ensureCluster } from './cluster';
import { locateInstallation, reachableDirectory } from './installation';
import { Passwords } from './passwords';

export const SUPERUSER = 'postgres';

/** Where this process finds a template, if it has one. */
export const templateDirectory = (): string | undefined => process.env['TXN_POSTGRES_TEMPLATE'] || undefined;

/**
 * Makes a template. Servers that are not durable are copied from it, in each process whose `TXN_POSTGRES_TEMPLATE` names the directory. Not on
 * Windows, which has no `cp`.
 *
 * @param directory where it is kept, created if need be
 * @returns the directory, or its substitute where PostgreSQL's user could not get there
 * @example process.env['TXN_POSTGRES_TEMPLATE'] = await makePostgresTemplate(join(directory, 'template'));
 */
export async function makePostgresTemplate(directory: string): Promise<string> {
  const installation = await locateInstallation();
  const reached = await reachableDirectory(directory, installation.runAs);
  const adminPassword = new Passwords(reached).of(SUPERUSER);
  await ensureCluster({ directory: reached, installation, adminPassword, durable: false });
  return reached;
}
