/** The codec server: it decodes for whoever has proved to be allowed, and tells nobody else anything. */
import { defaultPayloadConverter } from '@temporalio/common';
import { EncryptionCodec, serveCodec } from 'temporal-txn/encryption';
import type { CodecServer, CodecServerOptions } from 'temporal-txn/encryption';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { runExample } from '../docs/example';

const ORIGIN = 'https://temporal.example.org';
const TOKEN = 'Bearer of-an-operator';
const MARKER = 'secret-marker-4711';
const codec = new EncryptionCodec({ current: 'a', keys: { a: Buffer.alloc(32, 1) } });

let server: CodecServer;
beforeAll(async () => {
  server = await serveCodec({
    payloadCodecs: [codec],
    authorize: ({ authorization, namespace }) => authorization === TOKEN && namespace === 'default',
    origin: ORIGIN,
    port: 0,
  });
});
afterAll(() => server.close());

async function bodyWith(value: unknown): Promise<string> {
  const [payload] = await codec.encode([defaultPayloadConverter.toPayload(value)]);
  const inBase64 = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString('base64');
  const metadata = Object.entries(payload?.metadata ?? {}).map(([name, bytes]) => [name, inBase64(bytes)] as const);
  return JSON.stringify({ payloads: [{ metadata: Object.fromEntries(metadata), data: inBase64(payload?.data) }] });
}

const GOOD = { authorization: TOKEN, 'x-namespace': 'default', origin: ORIGIN };

const ask = (body: string, headers: Record<string, string>, path = '/decode', method = 'POST'): Promise<Response> =>
  fetch(server.url + path, { method, headers, ...(method === 'POST' ? { body } : {}) });

interface Decoded {
  readonly payloads: readonly { readonly data: string }[];
}

describe('a codec server', () => {
  it('decodes for the Web UI of its origin, and lets no cache keep it', async () => {
    const response = await ask(await bodyWith({ text: MARKER }), GOOD);
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const { payloads } = (await response.json()) as Decoded;
    expect(payloads.map(({ data }) => Buffer.from(data, 'base64').toString())).toEqual([
      JSON.stringify({ text: MARKER }),
    ]);
  });

  it('answers what a browser asks first', async () => {
    const response = await ask('', { origin: ORIGIN }, '/decode', 'OPTIONS');
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-headers')).toContain('authorization');
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
    ['of another origin', 403, { ...GOOD, origin: 'https://evil.example.org' }],
    ['for another path', 404, GOOD, '/encode'],
    ['by another method', 404, GOOD, '/decode', 'GET'],
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
    const serve = (options: CodecServerOptions): Promise<CodecServer> =>
      (started = serveCodec({ ...options, port: 0 }));
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
