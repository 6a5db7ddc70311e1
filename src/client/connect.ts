/**
 * How everything in this package reaches Temporal: settings from `@temporalio/envconfig` (TEMPORAL_ADDRESS,
 * TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS…, profiles in temporal.toml), and never in plain text over a network.
 */
import { Client, Connection } from '@temporalio/client';
import type { ClientPlugin, ConnectionPlugin } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { InsecureTemporalConnection } from './errors';

export interface TemporalSettings {
  /** @default TEMPORAL_ADDRESS, the profile, or localhost:7233 */
  readonly address?: string;
  /** @default TEMPORAL_NAMESPACE, the profile, or `default` */
  readonly namespace?: string;
  /**
   * Extensions of the SDK, for everything that is made of this connection: clients, workers, and the bundles that workers make of their
   * workflows. `tracing` of temporal-txn/tracing is one.
   */
  readonly plugins?: readonly TemporalPlugin[];
}

/** What the SDK calls so. A plugin for workers or bundles has methods of its own. */
export interface TemporalPlugin extends ConnectionPlugin, ClientPlugin {}

type ConnectionOptions = ReturnType<typeof loadClientConnectConfig>['connectionOptions'];

/**
 * Reads the settings of the environment and checks them.
 *
 * @throws {InsecureTemporalConnection} for a plain-text connection off this machine, unless TXN_ALLOW_INSECURE=1
 */
export function temporalSettings(given: TemporalSettings = {}): {
  connectionOptions: ConnectionOptions & { address: string; plugins?: TemporalPlugin[] };
  namespace: string;
} {
  const config = loadClientConnectConfig();
  const address = given.address ?? config.connectionOptions.address ?? 'localhost:7233';
  const plugins = given.plugins ? { plugins: [...given.plugins] } : {};
  const connectionOptions = { ...config.connectionOptions, address, ...plugins };
  const secured = Boolean(connectionOptions.tls) || connectionOptions.apiKey !== undefined;
  if (!secured && !isLoopback(address) && process.env['TXN_ALLOW_INSECURE'] !== '1')
    throw new InsecureTemporalConnection(address);
  return { connectionOptions, namespace: given.namespace ?? config.namespace ?? 'default' };
}

/**
 * Connects a Temporal client.
 *
 * @throws {InsecureTemporalConnection}
 * @example const transactions = new TransactionClient({ client: await connectTemporal() });
 */
export async function connectTemporal(given: TemporalSettings = {}): Promise<Client> {
  const { connectionOptions, namespace } = temporalSettings(given);
  return new Client({ connection: await Connection.connect(connectionOptions), namespace });
}

const isLoopback = (address: string): boolean => /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/.test(address);
