/** The codec server: it decodes and encodes for whoever has proved to be allowed, and tells nobody else anything. */
import { networkInterfaces } from 'node:os';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Payload } from '@temporalio/common';
import { EncryptionCodec, serveCodec } from 'temporal-txn/encryption';
import type { CodecServer, CodecServerOptions } from 'temporal-txn/encryption';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { runExample } from '../docs/example';

const ORIGIN = 'https://temporal.example.org';
const TOKEN = 'Bearer of-an-operator';
const MARKER = 'secret-marker-4711';
const codec = new EncryptionCodec({ current: 'a', keys: { a: Buffer.alloc(32, 1) } });

const options: CodecServerOptions = {
  payloadCodecs: [codec],
  authorize: ({ authorization, namespace }) => authorization === TOKEN && namespace === 'default',
  origin: ORIGIN,
  port: 0,
};
let server: CodecServer;
beforeAll(async () => {
  server = await serveCodec(options);
});
afterAll(() => server.close());

const bodyWith = async (value: unknown): Promise<string> =>
  bodyOf(await codec.encode([defaultPayloadConverter.toPayload(value)]));

function bodyOf([payload]: readonly Payload[]): string {
  const inBase64 = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString('base64');
  const metadata = Object.entries(payload?.metadata ?? {}).map(([name, bytes]) => [name, inBase64(bytes)] as const);
  return JSON.stringify({ payloads: [{ metadata: Object.fromEntries(metadata), data: inBase64(payload?.data) }] });
}

const GOOD = { authorization: TOKEN, 'x-namespace': 'default', origin: ORIGIN };

/** As the Web UI asks since its version 2.50. */
const DECODE = '/decode?preserveStorageRefs=true';
const ENCODE = '/encode?preserveStorageRefs=true';

const ask = (body: string, headers: Record<string, string>, path = DECODE, method = 'POST'): Promise<Response> =>
  fetch(server.url + path, { method, headers, ...(method === 'POST' ? { body } : {}) });

interface Translated {
  readonly payloads: readonly { readonly metadata: Record<string, string>; readonly data: string }[];
}

const payloadsOf = async (response: Response): Promise<Payload[]> => {
  const { payloads } = (await response.json()) as Translated;
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
  return payloads.map(({ metadata, data }) => ({
    metadata: Object.fromEntries(Object.entries(metadata).map(([name, text]) => [name, bytes(text)])),
    data: bytes(data),
  }));
};

describe('a codec server', () => {
  it('decodes for the Web UI of its origin, and lets no cache keep it', async () => {
    const response = await ask(await bodyWith({ text: MARKER }), GOOD);
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const [payload] = await payloadsOf(response);
    expect(defaultPayloadConverter.fromPayload(payload ?? {})).toEqual({ text: MARKER });
  });

  it('decodes for the Temporal CLI, which asks without a query', async () => {
    const { origin: _, ...cli } = GOOD;
    const [payload] = await payloadsOf(await ask(await bodyWith({ text: MARKER }), cli, '/decode'));
    expect(defaultPayloadConverter.fromPayload(payload ?? {})).toEqual({ text: MARKER });
  });

  it('encodes what a person sends', async () => {
    const response = await ask(bodyOf([defaultPayloadConverter.toPayload({ text: MARKER })]), GOOD, ENCODE);
    expect(response.status).toBe(200);
    const encoded = await payloadsOf(response);
    expect(encoded.map(({ metadata }) => String(metadata?.['encoding']))).toEqual(['binary/encrypted']);
    const [payload] = await codec.decode(encoded);
    expect(defaultPayloadConverter.fromPayload(payload ?? {})).toEqual({ text: MARKER });
  });

  it('sends nothing back, and lets the Web UI see that, where it cannot encode', async () => {
    const broken = { encode: async () => Promise.reject(new Error(MARKER)), decode: async () => [] };
    const away = await serveCodec({ ...options, payloadCodecs: [broken] });
    try {
      const body = bodyOf([defaultPayloadConverter.toPayload({ text: MARKER })]);
      const response = await fetch(away.url + ENCODE, { method: 'POST', headers: GOOD, body });
      expect([response.status, await response.text()]).toEqual([500, '']);
      expect(response.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    } finally {
      await away.close();
    }
  });

  it('knows the origin however its address is written, and no other', async () => {
    const same = await serveCodec({ ...options, origin: 'HTTPS://temporal.example.org:443/ui/' });
    try {
      const body = await bodyWith({ text: MARKER });
      const response = await fetch(same.url + DECODE, { method: 'POST', headers: GOOD, body });
      expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([200, ORIGIN]);
    } finally {
      await same.close();
    }
  });

  it.each(['temporal.example.org', '', '*', 'file:///home', 'localhost:8233'])(
    'does not start for the origin %j',
    async (origin) => {
      await expect(serveCodec({ ...options, origin })).rejects.toThrow(
        /^Nothing was started: origin is no address of a Web UI/,
      );
    },
  );

  const isV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
  it.runIf(isV6)('has an address that can be asked on IPv6 too', async () => {
    const v6 = await serveCodec({ ...options, host: '::1' });
    try {
      expect((await fetch(v6.url, { method: 'OPTIONS' })).status).toBe(204);
    } finally {
      await v6.close();
    }
  });

  it('answers what a browser asks first', async () => {
    const response = await ask('', { origin: ORIGIN }, '/decode', 'OPTIONS');
    expect(response.status).toBe(204);
    // With the tokens of OIDC there are two.
    expect(response.headers.get('access-control-allow-headers')?.split(', ')).toEqual(
      expect.arrayContaining(['authorization', 'authorization-extras', 'x-namespace', 'content-type']),
    );
  });

  it('gives back what it cannot read', async () => {
    const payloads = [{ metadata: { encoding: Buffer.from('binary/encrypted').toString('base64') }, data: 'AAAA' }];
    const response = await ask(JSON.stringify({ payloads }), GOOD);
    expect(await response.json()).toEqual({ payloads });
  });

  it.each<[string, number, Record<string, string>, string?, string?]>([
    ['without a token', 401, { origin: ORIGIN, 'x-namespace': 'default' }],
    ['with another token', 401, { ...GOOD, authorization: 'Bearer of-nobody' }],
    ['of another namespace', 401, { ...GOOD, 'x-namespace': 'other' }],
    ['without a token that encodes', 401, { origin: ORIGIN, 'x-namespace': 'default' }, ENCODE],
    ['of another origin', 403, { ...GOOD, origin: 'https://evil.example.org' }],
    ['for another path', 404, GOOD, '/download'],
    ['by another method', 404, GOOD, DECODE, 'GET'],
  ])('tells nothing to a caller %s: %i', async (_, status, headers, path, method) => {
    const response = await ask(await bodyWith({ text: MARKER }), headers, path, method);
    expect([response.status, await response.text()]).toEqual([status, '']);
  });

  it.each<[string, number, string]>([
    ['no JSON', 400, '{'],
    ['no payloads', 400, '{}'],
    ['more than it takes', 413, 'x'.repeat(17 * 1024 * 1024)],
  ])('tells nothing for %s: %i', async (_, status, body) => {
    const response = await ask(body, GOOD);
    expect([response.status, await response.text()]).toEqual([status, '']);
  });
});

describe('the codec server of docs/security.md', () => {
  afterEach(() => vi.unstubAllEnvs());

  /** Runs the block of the page, on a port that is free. */
  async function serveExample(token: string): Promise<CodecServer> {
    vi.stubEnv('CODEC_TOKEN', token);
    let started: Promise<CodecServer> | undefined;
    const serve = (given: CodecServerOptions): Promise<CodecServer> => (started = serveCodec({ ...given, port: 0 }));
    const { main } = runExample('docs/security.md', 'serveCodec', {
      modules: {
        './data-converter': { dataConverter: { payloadCodecs: [codec] } },
        'temporal-txn/encryption': { serveCodec: serve },
      },
    }) as { readonly main: () => Promise<void> }; // Cast: of the block.
    await main();
    return started ?? expect.fail('It serves nothing.');
  }

  it('lets in who has the token, and nobody else, whatever is sent', async () => {
    const example = await serveExample('of-an-operator');
    const statusFor = async (authorization?: string): Promise<number> => {
      const headers = { origin: ORIGIN, ...(authorization === undefined ? {} : { authorization }) };
      const body = await bodyWith({ text: MARKER });
      return (await fetch(`${example.url}/decode`, { method: 'POST', headers, body })).status;
    };
    try {
      expect(await statusFor(TOKEN)).toBe(200);
      // Of the same length, and of more bytes.
      for (const wrong of [undefined, '', 'Bearer of-nobody', TOKEN.replace('an', 'än'), 'Bearer undefined'])
        expect(await statusFor(wrong)).toBe(401);
    } finally {
      await example.close();
    }
  });

  it('does not start without a token', async () => {
    await expect(serveExample('')).rejects.toThrow('CODEC_TOKEN is not set');
  });
});
