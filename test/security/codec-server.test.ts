/** The codec server: it decodes for whoever has proved to be allowed, and tells nobody else anything. */
import { defaultPayloadConverter } from '@temporalio/common';
import { EncryptionCodec, serveCodec } from 'temporal-txn/encryption';
import type { CodecServer } from 'temporal-txn/encryption';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

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
