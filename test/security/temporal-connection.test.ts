/** How Temporal is reached: in plain text on this machine only; by TLS, client certificate and API key as the environment says. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { inspect } from 'node:util';
import { NativeConnection } from '@temporalio/worker';
import { connectTemporal, reachTemporal, temporalSettings } from 'temporal-txn/client';
import { freePort, spawnGuarded, TemporalDevServer } from 'temporal-txn/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { searchAttributeList } from '../../src/observability';
import { openTemporal } from '../../src/cli/temporal';
import { Authority, certificateDirectory } from './certificates';
import type { Pair } from './certificates';
import { openKeyGate, openTlsGate } from './gates';
import type { Gate } from './gates';

const SECRET_KEY = 'secret-api-key-4711';

const directory = certificateDirectory();
const authority = Authority.in(directory.path, 'authority');
const strangers = Authority.in(directory.path, 'strangers');
const serverPair = authority.issue('server', { server: 'DNS:localhost' });
const wrongName = authority.issue('elsewhere', { server: 'DNS:temporal.example.org' });
const ours = authority.issue('ours', 'client');
const theirs = strangers.issue('theirs', 'client');

afterAll(() => directory.remove());
afterEach(() => vi.unstubAllEnvs());

/** An environment with these settings of Temporal and no others. */
function settings(given: Readonly<Record<string, string>>): void {
  vi.stubEnv('XDG_CONFIG_HOME', directory.path);
  for (const [name, value] of Object.entries(given)) vi.stubEnv(name, value);
}

const errorOf = async (work: () => unknown): Promise<Error> => {
  try {
    await work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('Nothing was thrown.');
};

describe('a connection in plain text', () => {
  it.each([
    '10.1.2.3:7233',
    '192.168.0.1',
    'temporal:7233',
    'temporal.example.org:7233',
    'localhost.evil.com:7233',
    '127.0.0.1.evil.com:7233',
    '127.0.0.1.evil.com',
    'evil-localhost:7233',
    '127.999.1.1:7233',
    '0.0.0.0:7233',
    '[::]:7233',
    '[2001:db8::1]:7233',
    '[::ffff:10.0.0.1]:7233',
  ])('to %s is refused', async (address) => {
    const error = await errorOf(() => connectTemporal({ address }));
    expect(error).toMatchObject({ name: 'InsecureTemporalConnection', address });
    expect(error.message).toMatch(/^Nothing was started: .* is not on this machine and neither TLS nor an API key/);
  });

  it.each(['localhost', 'LOCALHOST:7233', '127.0.0.1:7233', '127.255.0.1', '[::1]:7233', '[::1]'])(
    'to %s is taken',
    (address) => {
      expect(temporalSettings({ address })).toMatchObject({ secured: false, connectionOptions: { address } });
    },
  );

  it.each([
    '',
    ':7233',
    'http://localhost:7233',
    'unix:/tmp/temporal.sock',
    'dns:///evil.com:7233',
    'localhost:7233@evil.com',
    'localhost:7233,evil.com:7233',
    'localhost:7233/evil',
    'localhost\n:7233',
    '::1',
  ])('to %j, which is no address, is refused', async (address) => {
    const error = await errorOf(() => connectTemporal({ address }));
    expect(error.name).toBe('InvalidTemporalSettings');
    expect(error.message).toMatch(/^Nothing was started: .* is not one\. Write host:port/);
  });

  it.each(['1', 'temporal'])('is taken with TXN_ALLOW_INSECURE=%s', (allowed) => {
    settings({ TXN_ALLOW_INSECURE: allowed });
    expect(temporalSettings({ address: 'temporal:7233' }).secured).toBe(false);
  });

  it.each(['', '0', 'true', 'yes', 'postgresql', '11'])('is refused with TXN_ALLOW_INSECURE=%s', async (allowed) => {
    settings({ TXN_ALLOW_INSECURE: allowed });
    const error = await errorOf(() => temporalSettings({ address: 'temporal:7233' }));
    expect(error.name).toBe('InsecureTemporalConnection');
  });
});

describe('an API key', () => {
  it('turns TLS on', () => {
    settings({ TEMPORAL_API_KEY: SECRET_KEY });
    expect(temporalSettings({ address: 'temporal.example.org:7233' })).toMatchObject({
      secured: true,
      connectionOptions: { tls: true, apiKey: SECRET_KEY },
    });
  });

  it.each<[string, () => Record<string, string>]>([
    ['TEMPORAL_TLS=false', () => ({ TEMPORAL_TLS: 'false', TEMPORAL_API_KEY: SECRET_KEY })],
    [
      'a profile',
      () => ({ TEMPORAL_CONFIG_FILE: profile(`api_key = "${SECRET_KEY}"\n[profile.default.tls]\ndisabled = true`) }),
    ],
  ])('is not sent in plain text over a network, whoever allows it: TLS switched off by %s', async (_, given) => {
    settings({ ...given(), TXN_ALLOW_INSECURE: '1' });
    const error = await errorOf(() => temporalSettings({ address: '10.1.2.3:7233' }));
    expect(error).toMatchObject({ name: 'InsecureTemporalConnection', configured: 'an API key without TLS' });
    expect(error.message).not.toContain(SECRET_KEY);
    expect(temporalSettings({ address: 'localhost:7233' }).secured).toBe(false);
  });
});

describe('an authorization header', () => {
  it.each<[string, () => Record<string, string>]>([
    ['the environment', () => ({ TEMPORAL_GRPC_META_AUTHORIZATION: `Bearer ${SECRET_KEY}` })],
    [
      'a profile',
      () => ({ TEMPORAL_CONFIG_FILE: profile(`[profile.default.grpc_meta]\nAuthorization = "Bearer ${SECRET_KEY}"`) }),
    ],
  ])('of %s is not sent in plain text over a network, whoever allows it', async (_, given) => {
    settings({ ...given(), TXN_ALLOW_INSECURE: '1' });
    const error = await errorOf(() => temporalSettings({ address: '10.1.2.3:7233' }));
    expect(error).toMatchObject({
      name: 'InsecureTemporalConnection',
      configured: 'an authorization header without TLS',
      message: expect.stringMatching(/^Nothing was started: .* is not on this machine and TLS is off/),
    });
    expect(error.message).not.toContain(SECRET_KEY);
    expect(temporalSettings({ address: 'localhost:7233' }).secured).toBe(false);
    settings({ TEMPORAL_TLS: 'true' });
    expect(temporalSettings({ address: '10.1.2.3:7233' }).secured).toBe(true);
  });
});

/** A file with one profile of that name. */
function profile(lines: string, name = 'default'): string {
  const path = join(directory.path, `${name}-${profiles++}.toml`);
  writeFileSync(path, `[profile.${name}]\n${lines}\n`);
  return path;
}
let profiles = 0;

describe('settings that cannot be used', () => {
  it.each<[string, RegExp, () => Record<string, string>]>([
    [
      'a certificate without its key',
      /only the certificate is given/,
      () => ({ TEMPORAL_TLS_CLIENT_CERT_PATH: ours.cert }),
    ],
    ['a key without its certificate', /only the key is given/, () => ({ TEMPORAL_TLS_CLIENT_KEY_PATH: ours.key })],
    [
      'an authority that is not there',
      /nowhere\.pem" cannot be read \(ENOENT\)/,
      () => ({ TEMPORAL_TLS_SERVER_CA_CERT_PATH: join(directory.path, 'nowhere.pem') }),
    ],
    [
      'a profile that is not there',
      /no usable profile "prod"/,
      () => ({ TEMPORAL_PROFILE: 'prod', TEMPORAL_CONFIG_FILE: profile('') }),
    ],
    [
      'a file that is not TOML',
      /not TOML: look at line 2/,
      () => ({ TEMPORAL_CONFIG_FILE: profile(`api_key = ${SECRET_KEY} "`) }),
    ],
    [
      'an address with a user in it',
      /the address \*\*\* is not one/,
      () => ({ TEMPORAL_ADDRESS: `https://ann:${SECRET_KEY}@temporal.example.org` }),
    ],
  ])('%s: said, without any value', async (_, message, given) => {
    settings(given());
    const error = await errorOf(() => connectTemporal());
    expect(error.name).toBe('InvalidTemporalSettings');
    expect(error.message).toMatch(/^Nothing was started: in the settings of Temporal, /);
    expect(error.message).toMatch(message);
    expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain(SECRET_KEY);
  });
});

describe('a Temporal server behind', () => {
  let temporal: TemporalDevServer;
  const gates: Gate[] = [];
  const opened = async <G extends Gate>(gate: Promise<G>): Promise<G> => {
    gates.push(await gate);
    return gate;
  };
  let tls: Gate;
  let mutual: Gate;
  let misnamed: Gate;
  let keyed: Awaited<ReturnType<typeof openKeyGate>>;

  beforeAll(async () => {
    temporal = await TemporalDevServer.start({ uiPort: false, searchAttributes: searchAttributeList() });
    const target = temporal.address;
    tls = await opened(openTlsGate({ target, server: serverPair }));
    mutual = await opened(openTlsGate({ target, server: serverPair, clientCa: authority.ca }));
    misnamed = await opened(openTlsGate({ target, server: wrongName }));
    keyed = await opened(openKeyGate({ target, server: serverPair, apiKey: SECRET_KEY }));
  });
  afterAll(async () => {
    await Promise.all(gates.map((gate) => gate.close()));
    await temporal?.stop();
  });

  const at = (gate: Gate): Record<string, string> => ({ TEMPORAL_ADDRESS: `localhost:${gate.port}` });
  const ca = (one: Authority = authority) => ({ TEMPORAL_TLS_SERVER_CA_CERT_PATH: one.ca });
  const certificate = ({ cert, key }: Pair) => ({
    TEMPORAL_TLS_CLIENT_CERT_PATH: cert,
    TEMPORAL_TLS_CLIENT_KEY_PATH: key,
  });

  /** Connects by the settings and asks something that only the server itself can answer. */
  async function ask(given: Readonly<Record<string, string>>): Promise<string[]> {
    settings(given);
    const client = await connectTemporal();
    onTestFinished(() => client.connection.close());
    const { customAttributes } = await client.connection.operatorService.listSearchAttributes({ namespace: 'default' });
    return Object.keys(customAttributes);
  }

  it('TLS is reached by the authority that is named', async () => {
    expect(await ask({ ...at(tls), ...ca() })).toContain('TxnStatus');
  });

  it('TLS under another name is reached by that name', async () => {
    expect(await ask({ ...at(misnamed), ...ca(), TEMPORAL_TLS_SERVER_NAME: 'temporal.example.org' })).toContain(
      'TxnStatus',
    );
  });

  it('TLS that wants a client certificate is reached with one, from a profile', async () => {
    const file = profile(
      `address = "localhost:${mutual.port}"\n[profile.prod.tls]\nserver_ca_cert_path = "${authority.ca}"\n` +
        `client_cert_path = "${ours.cert}"\nclient_key_path = "${ours.key}"`,
      'prod',
    );
    expect(await ask({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'prod' })).toContain('TxnStatus');
  });

  it('an API key is reached with the key, as a bearer token', async () => {
    expect(await ask({ ...at(keyed), ...ca(), TEMPORAL_API_KEY: SECRET_KEY })).toContain('TxnStatus');
    expect([...keyed.seen]).toEqual([`Bearer ${SECRET_KEY}`]);
  });

  it.each<[string, RegExp, () => Record<string, string>]>([
    ['an API key with a line break', /TEMPORAL_API_KEY/, () => ({ TEMPORAL_API_KEY: `${SECRET_KEY}\n` })],
    ['an API key of a profile', /api_key/, () => ({ TEMPORAL_CONFIG_FILE: profile(`api_key = "${SECRET_KEY}é"`) })],
    [
      'a header with a line break',
      /authorization.*TEMPORAL_GRPC_META_AUTHORIZATION/,
      () => ({ TEMPORAL_GRPC_META_AUTHORIZATION: `Bearer ${SECRET_KEY}\n` }),
    ],
  ])('nothing is asked with %s, and nobody is shown it', async (_, message, given) => {
    settings({ TEMPORAL_ADDRESS: temporal.address, TEMPORAL_TLS: 'false', ...given() });
    const connecting = [
      connectTemporal,
      () => openTemporal('default'),
      async () => NativeConnection.connect(temporalSettings().connectionOptions),
    ];
    for (const connect of connecting) {
      const error = await errorOf(connect);
      expect(error.message).toMatch(/^Nothing was (started|changed).*cannot be sent/);
      expect(error.message).toMatch(message);
      expect(inspect(error)).not.toContain(SECRET_KEY);
    }
  });

  it('something that quotes the key does not have it shown', async () => {
    const { connectionOptions } = temporalSettings({ address: temporal.address });
    const options = { ...connectionOptions, apiKey: SECRET_KEY };
    const quoting = Object.assign(new Error(`16 UNAUTHENTICATED: nobody knows Bearer ${SECRET_KEY}`), {
      details: '',
      metadata: {},
    });
    const error = await errorOf(() =>
      reachTemporal(options, () => Promise.reject(new Error('Failed to connect', { cause: quoting }))),
    );
    expect(error).toMatchObject({ name: 'TemporalUnreachable', why: '16 UNAUTHENTICATED: nobody knows Bearer ***' });
    expect(inspect(error)).not.toContain(SECRET_KEY);
  });

  it('this machine is reached without the proxy of the environment', async () => {
    const asked: string[] = [];
    const proxy = createServer((socket) => {
      socket.on('data', (what) => {
        asked.push(String(what));
        socket.destroy();
      });
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void proxy.close());
    const { port } = proxy.address() as AddressInfo; // Cast: it listens on TCP.
    const url = `http://127.0.0.1:${port}`;
    const plain = { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_TLS: 'false', TEMPORAL_API_KEY: SECRET_KEY };
    const environment = { grpc_proxy: url, http_proxy: url, https_proxy: url, no_proxy: '', no_grpc_proxy: '' };
    expect(await ask({ ...plain, ...environment })).toContain('TxnStatus');
    const access = await openTemporal('default');
    await access.connection.close();
    const native = await NativeConnection.connect(temporalSettings().connectionOptions);
    await native.close();
    expect(asked).toEqual([]);
  });

  it('TLS is not reached unverified, even where the environment says that nobody is to be verified', async () => {
    settings({ ...at(tls), TEMPORAL_TLS: 'true', NODE_TLS_REJECT_UNAUTHORIZED: '0' });
    const error = await errorOf(() => openTemporal('default', 6_000));
    expect(error).toMatchObject({
      name: 'TemporalUnreachable',
      message: expect.stringMatching(/unable to verify the first certificate|self-signed certificate/),
    });
    const { connectionOptions } = temporalSettings();
    await expect(NativeConnection.connect(connectionOptions)).rejects.toThrow();
  });

  // Temporal's client tries as long as it may, each time: they wait side by side.
  it('is not reached otherwise, and says why', async () => {
    const cases: readonly (readonly [Record<string, string>, RegExp])[] = [
      [{ ...at(tls), TEMPORAL_TLS: 'true' }, /unable to verify the first certificate|self-signed certificate/],
      [{ ...at(tls), ...ca(strangers) }, /unable to verify the first certificate|self-signed certificate|signature/],
      [{ ...at(misnamed), ...ca() }, /does not match certificate's altnames/],
      [{ ...at(mutual), ...ca() }, /certificate required/],
      [{ ...at(mutual), ...ca(), ...certificate(theirs) }, /unknown ca|bad certificate|closed the connection/],
      [
        { ...at(mutual), ...ca(), ...certificate({ cert: ours.cert, key: theirs.key }) },
        /TLS settings cannot be used: .*key values mismatch/,
      ],
      [at(tls), /does not speak to us in plain text: it may want TLS/],
      [{ TEMPORAL_ADDRESS: temporal.address, ...ca() }, /wrong version number|packet length/],
      [{ ...at(keyed), ...ca(), TEMPORAL_API_KEY: 'another-key-815' }, /16 UNAUTHENTICATED: Request unauthorized/],
    ];
    // Settings are read before anything is waited for.
    const trials = cases.map(([environment]) => {
      vi.unstubAllEnvs();
      settings(environment);
      return errorOf(() => openTemporal('default', 6_000));
    });
    for (const [i, error] of (await Promise.all(trials)).entries()) {
      expect(error).toMatchObject({ name: 'TemporalUnreachable', message: expect.stringMatching(cases[i]![1]) });
      expect(error.message).toMatch(/^Nothing was changed, and nothing was looked at: no Temporal server answers/);
      expect(error.message).not.toMatch(/another-key-815|PRIVATE KEY/);
    }
  });

  describe('TLS that wants a client certificate, and a worker', () => {
    async function start(environment: Record<string, string>) {
      const log = join(directory.path, `worker-${profiles++}.log`);
      const port = await freePort();
      const process_ = await spawnGuarded(process.execPath, [resolve(__dirname, '../../dist/workflows/worker.js')], {
        env: { PATH: process.env['PATH'], TXN_HEALTH_PORT: String(port), ...at(mutual), ...ca(), ...environment },
        log,
      });
      onTestFinished(async () => void (await process_.kill()));
      return { process: process_, health: `http://127.0.0.1:${port}/health`, output: () => readFileSync(log, 'utf8') };
    }

    it('with one works', async () => {
      const { health } = await start(certificate(ours));
      const status = async (): Promise<number> => (await fetch(health).catch(() => undefined))?.status ?? 0;
      await expect.poll(status, { timeout: 25_000 }).toBe(200);
    });

    it('without one does not start, and says why', async () => {
      const { process: worker, output } = await start({});
      expect((await worker.exited).code).toBe(1);
      expect(output()).toMatch(
        /TemporalUnreachable: Nothing was started: no connection to Temporal at .*certificate required/,
      );
    });
  });
});
