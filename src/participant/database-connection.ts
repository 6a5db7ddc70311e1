/**
 * Where a participant's database may be. Off this machine it is spoken to by TLS, with a server whose certificate is checked: whoever
 * is on the way could otherwise read and change what is written, and take part in the name of the service.
 */
import { Client } from 'pg';
import type { PoolConfig } from 'pg';
import { allowsPlainText, isLoopback } from '../protocol';
import { InsecureDatabaseConnectionError, InvalidDatabaseSettingsError } from './errors';

/**
 * Checks how a database would be connected to, by the settings and the environment that the driver reads. Connects to nothing.
 * Settings with a `stream` of their own bring their own network, and are not judged.
 *
 * @param whose the participant, for messages
 * @throws {InvalidDatabaseSettingsError} when they cannot be read
 * @throws {InsecureDatabaseConnectionError} for one off this machine that is not encrypted, or whose certificate is not checked, unless
 * TXN_ALLOW_INSECURE allows it
 * @example checkDatabaseConnection({ connectionString: process.env.DATABASE_URL }, 'north-bank');
 */
export function checkDatabaseConnection(settings: PoolConfig, whose: string): void {
  const { host, ssl } = read(settings, whose);
  if (settings.stream !== undefined || isOnThisMachine(host)) return;
  const encrypted = Boolean(ssl);
  const verified = encrypted && verifies(typeof ssl === 'object' ? ssl.rejectUnauthorized : undefined);
  if (verified || allowsPlainText('postgresql', process.env['TXN_ALLOW_INSECURE'])) return;
  throw new InsecureDatabaseConnectionError(whose, host, encrypted ? 'an unverified certificate' : 'plain text');
}

/** Where the settings leave it open, Node does, unless its environment says that nobody is to be verified. */
const verifies = (said: boolean | undefined): boolean => said ?? process.env['NODE_TLS_REJECT_UNAUTHORIZED'] !== '0';

/** A path is a socket in the file system. */
const isOnThisMachine = (host: string): boolean => host.startsWith('/') || isLoopback(host);

interface Target {
  readonly host: string;
  readonly ssl: boolean | { readonly rejectUnauthorized?: boolean };
}

/** The driver itself is asked, which knows all ways to say it; a client that is only made connects to nothing. */
function read(settings: PoolConfig, whose: string): Target {
  try {
    const { host, ssl } = new Client(settings) as unknown as Target; // Cast: its types know only whether there is ssl.
    // Whoever calls from JavaScript may give a list, of which the driver would make a text.
    if (typeof host !== 'string') throw new TypeError('The host is no text.');
    return { host, ssl };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    const file = error instanceof Error && 'path' in error ? String(error.path) : undefined;
    throw new InvalidDatabaseSettingsError(whose, code, file);
  }
}
