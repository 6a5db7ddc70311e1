export { EncryptionCodec } from './codec';
export { encryptedDataConverter } from './data-converter';
export { EncryptionKeyMissing, InvalidEncryptionKeys, UndecodablePayload } from './errors';
export { encryptionKeysFrom } from './keys';
export type { EncryptionKeys } from './keys';
