/**
 * How everything in this package reaches Temporal: settings from `@temporalio/envconfig` (TEMPORAL_ADDRESS,
 * TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS…, profiles in temporal.toml), and never in plain text over a network.
 */
import { Client, Connection } from '@temporalio/client';
import type { ClientPlugin, ConnectionLike, ConnectionOptions, ConnectionPlugin } from '@temporalio/client';
import { loadClientConfigProfile, toClientOptions } from '@temporalio/envconfig';
import type { ClientConfigProfile } from '@temporalio/envconfig';
import { allowsPlainText, isLoopback, show } from '../protocol';
import { dataConverterOf } from './data-converter';
import type { TransactionDataConverter } from './data-converter';
import { InsecureTemporalConnection, InvalidTemporalSettings } from './errors';
import { reachTemporal } from './reach';
import { tellingUnreadable } from './unreadable';

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
  /** Encrypts what is sent. @default the keys of TXN_ENCRYPTION_KEYS, what the module TXN_DATA_CONVERTER exports, or nothing does */
  readonly dataConverter?: TransactionDataConverter;
}

/** What the SDK calls so. A plugin for workers or bundles has methods of its own. */
export interface TemporalPlugin extends ConnectionPlugin, ClientPlugin {}

export type TemporalConnectionOptions = ReturnType<typeof toClientOptions>['connectionOptions'] & {
  readonly address: string;
  plugins?: TemporalPlugin[];
  /** Of clients. Workers take no notice. */
  readonly channelArgs?: NonNullable<ConnectionOptions['channelArgs']>;
};

/** What the environment says, checked. */
export interface CheckedTemporalSettings {
  readonly connectionOptions: TemporalConnectionOptions;
  readonly namespace: string;
  readonly dataConverter: TransactionDataConverter;
  /** Whether the connection is encrypted. */
  readonly secured: boolean;
}

/**
 * Reads the settings of the environment and checks them.
 *
 * @throws {InvalidTemporalSettings} when they cannot be read, or contradict each other
 * @throws {InsecureTemporalConnection} for a plain-text connection off this machine, unless TXN_ALLOW_INSECURE allows it; with
 * an API key or an authorization header always
 * @throws {InvalidEncryptionKeys} {InvalidDataConverter}
 */
export function temporalSettings(given: TemporalSettings = {}): CheckedTemporalSettings {
  const config = readEnvironment();
  const address = given.address ?? config.connectionOptions.address ?? 'localhost:7233';
  const host = hostOf(address);
  const plugins = given.plugins ? { plugins: [...given.plugins] } : {};
  const isHere = isLoopback(host);
  const connectionOptions = { ...config.connectionOptions, address, ...plugins, ...(isHere ? DIRECTLY : {}) };
  const { tls, apiKey, metadata } = connectionOptions;
  // An API key turns TLS on where nothing is said of it; `disabled` turns it off all the same.
  const secured = Boolean(tls);
  if (!secured && !isHere) {
    if (apiKey) throw new InsecureTemporalConnection(address, 'an API key without TLS');
    if (metadata?.['authorization'])
      throw new InsecureTemporalConnection(address, 'an authorization header without TLS');
    if (!allowsPlainText('temporal', process.env['TXN_ALLOW_INSECURE']))
      throw new InsecureTemporalConnection(address, 'neither TLS nor an API key');
  }
  return {
    connectionOptions,
    namespace: given.namespace ?? config.namespace ?? 'default',
    dataConverter: dataConverterOf(given.dataConverter),
    secured,
  };
}

/**
 * Connects a Temporal client.
 *
 * @throws {InvalidTemporalSettings}
 * @throws {InsecureTemporalConnection}
 * @throws {InvalidEncryptionKeys} {InvalidDataConverter}
 * @throws {TemporalUnreachable} with what was wrong with the certificates, if it was that
 * @example const transactions = new TransactionClient({ client: await connectTemporal() });
 */
export async function connectTemporal(given: TemporalSettings = {}): Promise<Client> {
  const { connectionOptions, namespace, dataConverter } = temporalSettings(given);
  const connection = await reachTemporal(connectionOptions, () => Connection.connect(connectionOptions));
  return clientOn(connection, { namespace, dataConverter });
}

/** A client on a connection that there is: one of a worker, too. */
export const clientOn = (
  connection: ConnectionLike,
  { namespace, dataConverter }: Pick<CheckedTemporalSettings, 'namespace' | 'dataConverter'>,
): Client => new Client({ connection, namespace, dataConverter: tellingUnreadable(dataConverter) });

/**
 * Not by a proxy of the environment (`http_proxy`, `grpc_proxy`), through which gRPC would ask another machine for its own: what is
 * said to this machine stays on it. Workers know no proxy of the environment.
 */
const DIRECTLY = { channelArgs: { 'grpc.enable_http_proxy': 0 } };

/** As gRPC takes it: a name or an address, in brackets where it has colons, and a port. */
const ADDRESS = /^(\[[0-9a-f:.]+\]|[^\s:/@[\]]+)(:\d{1,5})?$/i;

function hostOf(address: string): string {
  const [, host] = ADDRESS.exec(address) ?? [];
  if (host === undefined)
    throw new InvalidTemporalSettings(
      // Before an @ there may be a password.
      `the address ${address.includes('@') ? '***' : show(address)} is not one`,
      'Write host:port, without http://.',
    );
  return host;
}

function readEnvironment(): ReturnType<typeof toClientOptions> {
  try {
    const profile = loadClientConfigProfile();
    checkCertificates(profile);
    checkHeaders(profile);
    return toClientOptions(profile);
  } catch (error) {
    throw error instanceof InvalidTemporalSettings ? error : unreadable(error);
  }
}

/** With one of the two alone no certificate would be sent, and nobody would say so. */
function checkCertificates({ tls }: ClientConfigProfile): void {
  if ((tls?.clientCert === undefined) !== (tls?.clientKey === undefined))
    throw new InvalidTemporalSettings(
      `a client certificate needs its key, and ${tls?.clientKey ? 'only the key' : 'only the certificate'} is given`,
      'Set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH, or neither.',
    );
}

/** What gRPC sends in a header. Of anything else it complains with the value, which may be a key. */
const SENDABLE = /^[\x20-\x7e]*$/;

function checkHeaders({ apiKey = '', grpcMeta = {} }: ClientConfigProfile): void {
  const check = (value: string, what: string, where: string): void => {
    if (SENDABLE.test(value)) return;
    throw new InvalidTemporalSettings(
      `${what} has a character that cannot be sent, such as a line break at its end`,
      `Check ${where}: one line of printable ASCII.`,
    );
  };
  check(apiKey, 'the API key', 'TEMPORAL_API_KEY, or api_key of the profile');
  for (const [name, value] of Object.entries(grpcMeta))
    check(value, `the header ${show(name)}`, `${variableOf(name)}, or grpc_meta of the profile`);
}

const variableOf = (header: string): string => `TEMPORAL_GRPC_META_${header.toUpperCase().replaceAll('-', '_')}`;

/** In words of ours: a parser quotes the text around a mistake, and that may be an API key. */
function unreadable(error: unknown): InvalidTemporalSettings {
  const { line, code, path } = error as { readonly line?: unknown; readonly code?: unknown; readonly path?: unknown };
  if (typeof line === 'number')
    return new InvalidTemporalSettings(`the configuration file is not TOML: look at line ${line}`, 'Mend it.');
  if (typeof code === 'string' && typeof path === 'string')
    return new InvalidTemporalSettings(
      `${show(path)} cannot be read (${code})`,
      'Check the paths of the TLS settings.',
    );
  const profile = process.env['TEMPORAL_PROFILE'];
  return new InvalidTemporalSettings(
    profile ? `they hold no usable profile ${show(profile)}` : 'they are no profile',
    'Check TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE and TEMPORAL_TLS…: a profile is [profile.<name>], and a certificate is given as a path or as data, not as both.',
  );
}
