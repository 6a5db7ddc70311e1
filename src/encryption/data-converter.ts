/** What encryption means for the parts of this package: one value that they all take. */
import type { DataConverter } from '@temporalio/common';
import { EncryptionCodec } from './codec';
import type { EncryptionKeys } from './keys';

/**
 * What workers, clients and the command need to write and read encrypted payloads. Workers then encode the messages and stack traces
 * of failures too, which stay readable otherwise.
 *
 * @throws {InvalidEncryptionKeys}
 * @example
 * export const dataConverter = encryptedDataConverter({ current: '2031-05', keys: { '2031-05': newKey, '2030-11': oldKey } });
 */
export const encryptedDataConverter = (keys: EncryptionKeys): Required<Pick<DataConverter, 'payloadCodecs'>> => ({
  payloadCodecs: [new EncryptionCodec(keys)],
});
