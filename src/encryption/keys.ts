/** The keys of the codec: one that encrypts, and all that decrypt. */
import { createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { show } from '../protocol';
import { InvalidEncryptionKeys } from './errors';

export interface EncryptionKeys {
  /** Id of the key that encrypts from now on. */
  readonly current: string;
  /**
   * All keys that may be met, by their id: 32 bytes, or their base64. One that is replaced stays for as long as histories may hold
   * what it has encrypted: the retention of the namespace, after the last transaction that began with it has ended, and two days at
   * least, see docs/security.md: participants and relays have workflows without an end, which begin anew once a day.
   */
  readonly keys: Readonly<Record<string, Uint8Array | string>>;
}

const BYTES = 32;
const ID = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * Reads keys from one text, as a variable or a secret store holds it: `<id>:<base64>`, several with commas between. The first one
 * encrypts.
 *
 * @throws {InvalidEncryptionKeys}
 * @example encryptionKeysFrom(process.env.TXN_ENCRYPTION_KEYS) // 2031-05:7J0…=,2030-11:q8z…=
 */
export function encryptionKeysFrom(text: string | undefined): EncryptionKeys {
  const pairs = (text ?? '').split(',').map((pair): readonly [string, string] => {
    const [, id, key] = /^\s*([^\s:]+):(\S+)\s*$/.exec(pair) ?? [];
    if (id === undefined || key === undefined)
      throw new InvalidEncryptionKeys('the encryption keys are not <id>:<base64>, with commas between them');
    return [id, key];
  });
  if (new Set(pairs.map(([id]) => id)).size < pairs.length)
    throw new InvalidEncryptionKeys('two encryption keys have one id');
  return { current: pairs[0]?.[0] ?? '', keys: Object.fromEntries(pairs) };
}

/** The keys in a form that no log and no inspection prints. @throws {InvalidEncryptionKeys} */
export function checkedKeys({ current, keys }: EncryptionKeys): ReadonlyMap<string, KeyObject> {
  const checked = new Map(Object.entries(keys).map(([id, key]) => [id, keyOf(id, key)]));
  if (!checked.has(current)) throw new InvalidEncryptionKeys(`there is no key ${show(current)}, which is to encrypt`);
  return checked;
}

function keyOf(id: string, given: unknown): KeyObject {
  if (!ID.test(id)) throw new InvalidEncryptionKeys(`${show(id)} is no id of a key`);
  const bytes = bytesOf(given);
  if (bytes?.length !== BYTES)
    throw new InvalidEncryptionKeys(
      `the key ${show(id)} ${bytes === undefined ? 'is no base64' : `has ${bytes.length} bytes, not ${BYTES}`}`,
    );
  return createSecretKey(bytes);
}

function bytesOf(given: unknown): Uint8Array | undefined {
  if (given instanceof Uint8Array) return given;
  if (typeof given !== 'string' || !/^[A-Za-z0-9+/]+={0,2}$/.test(given)) return undefined;
  return Buffer.from(given, 'base64');
}
