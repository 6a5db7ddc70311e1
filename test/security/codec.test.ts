/** The codec: what goes in comes out by the right key, and by no other; keys that are none; and what a worker makes of each failure. */
import { createDecipheriv } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Payload } from '@temporalio/common';
import { EncryptionCodec, encryptionKeysFrom } from 'temporal-txn/encryption';
import type { EncryptionKeys } from 'temporal-txn/encryption';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { temporalSettings } from '../../src/client';
import { certificateDirectory } from './certificates';

const OLD = Buffer.alloc(32, 1).toString('base64');
const NEW = Buffer.alloc(32, 2).toString('base64');
const MARKER = 'secret-marker-4711';

const SECRET = { text: MARKER };

const codec = (keys: EncryptionKeys): EncryptionCodec => new EncryptionCodec(keys);
const both = codec({ current: 'new', keys: { new: NEW, old: OLD } });
const old = codec({ current: 'old', keys: { old: OLD } });
const payloadOf = (value: unknown): Payload => defaultPayloadConverter.toPayload(value);
const encrypted = async (by: EncryptionCodec, value: unknown): Promise<Payload> =>
  (await by.encode([payloadOf(value)]))[0]!;
const decoded = async (by: EncryptionCodec, payload: Payload): Promise<unknown> =>
  defaultPayloadConverter.fromPayload((await by.decode([payload]))[0]!);

describe('an encrypted payload', () => {
  it.each([undefined, null, '', MARKER, { text: MARKER }, [1, 'x', null], new Uint8Array([0, 255]), new Uint8Array()])(
    'comes back as it was: %j',
    async (value) => {
      const sent = await encrypted(both, value);
      expect(Buffer.from(sent.data ?? []).toString('latin1')).not.toContain(MARKER);
      expect(Object.keys(sent.metadata ?? {}).sort()).toEqual(['encoding', 'encryption-key-id']);
      expect(await decoded(both, sent)).toEqual(value);
    },
  );

  it('is another one each time', async () => {
    const [one, two] = await Promise.all([encrypted(both, SECRET), encrypted(both, SECRET)]);
    expect(Buffer.from(one.data ?? []).equals(Buffer.from(two.data ?? []))).toBe(false);
  });

  it('is read by the key that it names, which need not be the current one', async () => {
    expect(await decoded(both, await encrypted(old, SECRET))).toEqual({ text: MARKER });
  });

  it('names the key that is missing', async () => {
    const error: unknown = await decoded(old, await encrypted(both, SECRET)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'EncryptionKeyMissing', keyId: 'new' });
    expect((error as Error).message).toMatch(/^A payload is encrypted with the key "new"/);
  });

  it('passes when it is none: it was sent before, or by a person', async () => {
    expect(await decoded(both, payloadOf({ step: 'a' }))).toEqual({ step: 'a' });
  });

  it('has the bytes that Temporal samples in other languages write: nonce, message, tag', async () => {
    const { data = new Uint8Array() } = await encrypted(old, 'x');
    const bytes = Buffer.from(data ?? []);
    const decipher = createDecipheriv('aes-256-gcm', Buffer.from(OLD, 'base64'), bytes.subarray(0, 12));
    decipher.setAuthTag(bytes.subarray(-16));
    const message = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]);
    // temporal.api.common.v1.Payload: field 1, a map entry of encoding and json/plain; field 2, the JSON.
    expect(message.toString('latin1')).toBe('\n\x16\n\x08encoding\x12\njson/plain\x12\x03"x"');
  });

  const key = { 'encryption-key-id': Buffer.from('new') };
  const encoding = { encoding: Buffer.from('binary/encrypted') };
  it.each<[string, (data: Buffer) => Payload]>([
    ['changed', (data) => ({ metadata: { ...encoding, ...key }, data: Buffer.from(data).fill(~data[20]!, 20, 21) })],
    ['cut off', (data) => ({ metadata: { ...encoding, ...key }, data: data.subarray(0, 20) })],
    ['emptied', () => ({ metadata: { ...encoding, ...key } })],
    ['robbed of the id of its key', (data) => ({ metadata: encoding, data })],
    [
      'given the id of another key',
      (data) => ({ metadata: { ...encoding, 'encryption-key-id': Buffer.from('old') }, data }),
    ],
  ])('that was %s can never be read', async (_, change) => {
    const { data } = await encrypted(both, SECRET);
    const error: unknown = await decoded(both, change(Buffer.from(data ?? []))).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'UndecodablePayload' });
    expect((error as Error).message).toMatch(/^A payload cannot be decrypted/);
  });
});

describe('keys', () => {
  it('are read from one text, the first of which encrypts', async () => {
    const keys = encryptionKeysFrom(`new:${NEW}, old:${OLD}`);
    expect(keys).toEqual({ current: 'new', keys: { new: NEW, old: OLD } });
    expect(await decoded(codec(keys), await encrypted(old, SECRET))).toEqual({ text: MARKER });
  });

  it.each<[string, () => unknown]>([
    ['nothing', () => encryptionKeysFrom(undefined)],
    ['no id', () => encryptionKeysFrom(NEW)],
    ['two of one id', () => encryptionKeysFrom(`a:${NEW},a:${OLD}`)],
    ['a short one', () => codec({ current: 'a', keys: { a: Buffer.from('short').toString('base64') } })],
    ['a text that is no base64', () => codec({ current: 'a', keys: { a: `${MARKER}!` } })],
    ['a passphrase', () => codec({ current: 'a', keys: { a: MARKER } })],
    ['no current one', () => codec({ current: 'b', keys: { a: NEW } })],
    ['an id that is none', () => codec({ current: 'a b', keys: { 'a b': NEW } })],
  ])('are refused: %s; and no value is shown', (_, make) => {
    let error: unknown;
    try {
      make();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ name: 'InvalidEncryptionKeys' });
    expect((error as Error).message).toMatch(/^Nothing was started: /);
    expect(inspect(error, { depth: 10 })).not.toMatch(new RegExp(`${MARKER}|${NEW.replace(/\+/g, '\\+')}`));
  });

  it('do not show in a codec, however it is printed', () => {
    for (const printed of [inspect(both, { depth: 10, showHidden: true }), JSON.stringify(both)]) {
      expect(printed).not.toContain(NEW);
      expect(printed).not.toMatch(/2, 2, 2, 2|02 02 02 02/);
    }
  });
});

describe('the environment', () => {
  const directory = certificateDirectory();
  afterEach(() => vi.unstubAllEnvs());
  const module = (text: string): string => {
    const path = join(directory.path, `converter-${Math.random()}.cjs`);
    writeFileSync(path, text);
    return path;
  };
  const settings = () => temporalSettings({ address: 'localhost' }).dataConverter.payloadCodecs ?? [];
  const problem = (): Error => {
    try {
      settings();
    } catch (error) {
      return error as Error;
    }
    throw new Error('It was accepted.');
  };

  it('holds keys, or names a module with a codec, or says nothing', async () => {
    expect(settings()).toEqual([]);
    vi.stubEnv('TXN_ENCRYPTION_KEYS', `old:${OLD}`);
    expect(settings()).toHaveLength(1);
    expect(await decoded(old, (await settings()[0]!.encode([payloadOf('x')]))[0]!)).toBe('x');
    vi.stubEnv('TXN_ENCRYPTION_KEYS', '');
    vi.stubEnv('TXN_DATA_CONVERTER', module('exports.dataConverter = { payloadCodecs: [{ mine: true }] };'));
    expect(settings()).toEqual([{ mine: true }]);
  });

  it.each<[string, string, RegExp]>([
    ['is not there', '/nowhere.cjs', /cannot be loaded \(Error\)/],
    ['throws', 'throw new TypeError("the key is secret-marker-4711")', /cannot be loaded \(TypeError\)/],
    ['exports nothing', '', /exports no dataConverter/],
    ['has a payload converter', 'exports.dataConverter = { payloadConverterPath: "x" }', /has "payloadConverterPath"/],
  ])('is refused where its module %s', (_, text, message) => {
    vi.stubEnv('TXN_DATA_CONVERTER', text.startsWith('/') ? text : module(text));
    const error = problem();
    expect(error).toMatchObject({ name: 'InvalidDataConverter', message: expect.stringMatching(message) });
    expect(error.message).toMatch(/^Nothing was started: the module /);
    expect(inspect(error)).not.toContain(MARKER);
  });

  it('is refused with both', () => {
    vi.stubEnv('TXN_ENCRYPTION_KEYS', `old:${OLD}`);
    vi.stubEnv('TXN_DATA_CONVERTER', module(''));
    expect(problem().message).toContain('both TXN_ENCRYPTION_KEYS and TXN_DATA_CONVERTER are set');
  });
});
