export { EncryptionCodec } from './codec';
export { serveCodec } from './codec-server';
export type { CodecCaller, CodecServer, CodecServerOptions } from './codec-server';
export { encryptedDataConverter } from './data-converter';
export { EncryptionKeyMissing, InvalidEncryptionKeys, UndecodablePayload } from './errors';
export { encryptionKeysFrom } from './keys';
export type { EncryptionKeys } from './keys';
