/** The connection to Temporal of the commands that cannot do without it. */
import { Client, Connection } from '@temporalio/client';
import { InsecureTemporalConnection, temporalSettings } from '../client';
import { TemporalRefused, TemporalUnreachable } from './errors';

export interface TemporalAccess {
  readonly client: Client;
  readonly connection: Connection;
  readonly namespace: string;
  readonly address: string;
}

const CONNECT_TIMEOUT_MS = 3_000;

/**
 * Connects as the environment says.
 *
 * @param connectTimeoutMs how long the server may take to answer
 * @throws {TemporalRefused} when the settings forbid it
 * @throws {TemporalUnreachable} when no server answers
 */
export async function openTemporal(
  given: string | undefined,
  connectTimeoutMs = CONNECT_TIMEOUT_MS,
): Promise<TemporalAccess> {
  const { connectionOptions, namespace } = settings(given);
  const { address } = connectionOptions;
  try {
    const connection = await Connection.connect({ ...connectionOptions, connectTimeout: connectTimeoutMs });
    return { client: new Client({ connection, namespace }), connection, namespace, address };
  } catch (error) {
    throw new TemporalUnreachable(address, error instanceof Error ? error.message : String(error));
  }
}

function settings(namespace: string | undefined): ReturnType<typeof temporalSettings> {
  try {
    return temporalSettings(namespace === undefined ? {} : { namespace });
  } catch (error) {
    if (error instanceof InsecureTemporalConnection) throw new TemporalRefused(error.message);
    throw error;
  }
}

/** Connects, does something, and closes. */
export async function onTemporal<T>(
  namespace: string | undefined,
  work: (access: TemporalAccess) => Promise<T>,
): Promise<T> {
  const access = await openTemporal(namespace);
  try {
    return await work(access);
  } finally {
    await access.connection.close();
  }
}
