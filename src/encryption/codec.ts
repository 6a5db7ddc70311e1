/**
 * Encrypts what is sent to Temporal and kept there: inputs, results, votes and their reasons, memos, summaries and, where the worker
 * encodes them, messages of failures. AES-256-GCM; each payload names its key, so that keys can be replaced while transactions run.
 *
 * The bytes are those of Temporal's own encryption samples in Go, Java, Python, .NET and TypeScript, so that a participant in another
 * language needs no more than those: metadata `encoding: binary/encrypted` and `encryption-key-id`; data: 12 bytes of nonce, then the
 * encrypted payload as a protobuf message, then 16 bytes of tag.
 *
 * It is for secrecy. Who may write to the namespace can still send what is not encrypted, as a person in the Web UI does: who may act
 * is not the codec's affair.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { Field, MapField, Type } from 'protobufjs';
import { EncryptionKeyMissing, UndecodablePayload } from './errors';
import { checkedKeys } from './keys';
import type { EncryptionKeys } from './keys';

const ENCODING = 'binary/encrypted';
const KEY_ID = 'encryption-key-id';
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** `temporal.api.common.v1.Payload`. */
const PayloadMessage = new Type('Payload')
  .add(new MapField('metadata', 1, 'string', 'bytes'))
  .add(new Field('data', 2, 'bytes'));

export class EncryptionCodec implements PayloadCodec {
  readonly #keys: ReadonlyMap<string, KeyObject>;
  readonly #current: string;

  /** @throws {InvalidEncryptionKeys} */
  constructor(keys: EncryptionKeys) {
    this.#keys = checkedKeys(keys);
    this.#current = keys.current;
  }

  async encode(payloads: Payload[]): Promise<Payload[]> {
    const key = this.#key(this.#current);
    return payloads.map((payload) => ({
      metadata: { encoding: Buffer.from(ENCODING), [KEY_ID]: Buffer.from(this.#current) },
      data: encrypt(key, PayloadMessage.encode(payload).finish()),
    }));
  }

  /**
   * What is not encrypted passes: it was sent before encryption was turned on, or by a person.
   *
   * @throws {EncryptionKeyMissing} retryable: it can be read once the key is there
   * @throws {UndecodablePayload} when it can never be read
   */
  async decode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) => (text(payload, 'encoding') === ENCODING ? this.#decrypt(payload) : payload));
  }

  #decrypt(payload: Payload): Payload {
    const keyId = text(payload, KEY_ID);
    if (keyId === undefined) throw new UndecodablePayload('it does not name its key');
    const plain = decrypt(this.#key(keyId), payload.data ?? new Uint8Array());
    // Cast: that is what was encrypted.
    return PayloadMessage.toObject(PayloadMessage.decode(plain), { bytes: Buffer });
  }

  #key(id: string): KeyObject {
    const key = this.#keys.get(id);
    if (key === undefined) throw new EncryptionKeyMissing(id);
    return key;
  }
}

const text = ({ metadata }: Payload, name: string): string | undefined => {
  const bytes = metadata?.[name];
  return bytes === undefined || bytes === null ? undefined : Buffer.from(bytes).toString();
};

/** A random nonce is safe for some billions of payloads with one key. */
function encrypt(key: KeyObject, plain: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: KeyObject, data: Uint8Array): Uint8Array {
  if (data.length < NONCE_BYTES + TAG_BYTES) throw new UndecodablePayload('it is too short');
  const end = data.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, key, data.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(data.subarray(end));
  try {
    return Buffer.concat([decipher.update(data.subarray(NONCE_BYTES, end)), decipher.final()]);
  } catch {
    throw new UndecodablePayload('it does not fit its key, or was changed');
  }
}
