/** The connection to Temporal of the commands that cannot do without it. */
import { Client, Connection } from '@temporalio/client';
import {
  InsecureTemporalConnection,
  InvalidDataConverter,
  InvalidTemporalSettings,
  reachTemporal,
  TemporalUnreachable as NotReached,
  temporalSettings,
} from '../client';
import type { CheckedTemporalSettings, TemporalSettings, TransactionDataConverter } from '../client';
import { InvalidEncryptionKeys } from '../encryption';
import { TemporalRefused, TemporalUnreachable } from './errors';
import { lenient } from './payloads';

export interface TemporalAccess {
  readonly client: Client;
  readonly connection: Connection;
  readonly namespace: string;
  readonly address: string;
  /** Whether the connection is encrypted. */
  readonly secured: boolean;
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
  const { connectionOptions, namespace, secured, dataConverter } = settingsOf(
    given === undefined ? {} : { namespace: given },
  );
  const { address } = connectionOptions;
  try {
    const connection = await reachTemporal(
      connectionOptions,
      () => Connection.connect({ ...connectionOptions, connectTimeout: connectTimeoutMs }),
      connectTimeoutMs / 2,
    );
    const client = new Client({ connection, namespace, dataConverter: lenient(dataConverter) });
    return { client, connection, namespace, address, secured };
  } catch (error) {
    throw new TemporalUnreachable(address, whyUnreachable(error));
  }
}

/** In the words of the network, or of TLS. */
export function whyUnreachable(error: unknown): string {
  if (error instanceof NotReached) return error.why;
  return error instanceof Error ? error.message : String(error);
}

const REFUSALS = [InsecureTemporalConnection, InvalidTemporalSettings, InvalidDataConverter, InvalidEncryptionKeys];

/** What the environment says. @throws {TemporalRefused} when that is forbidden, or cannot be read */
export function settingsOf(given: TemporalSettings): CheckedTemporalSettings {
  try {
    return temporalSettings(given);
  } catch (error) {
    if (REFUSALS.some((refusal) => error instanceof refusal)) throw new TemporalRefused((error as Error).message);
    throw error;
  }
}

/** How payloads are read that somebody has exported. @throws {TemporalRefused} */
export const dataConverterOfEnvironment = (): TransactionDataConverter =>
  settingsOf({ address: 'localhost' }).dataConverter;

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
