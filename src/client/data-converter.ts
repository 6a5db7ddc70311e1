/**
 * How what is sent to Temporal is encrypted, for everything in this package: as the caller says, or as the environment does, so that
 * workers, clients and the command of one deployment agree.
 *
 * TXN_ENCRYPTION_KEYS holds the keys of the codec of this package; TXN_DATA_CONVERTER names a module with a codec of your own.
 */
import { resolve } from 'node:path';
import type { DataConverter } from '@temporalio/common';
import { encryptedDataConverter, encryptionKeysFrom, InvalidEncryptionKeys } from '../encryption';
import { show } from '../protocol';
import { InvalidDataConverter } from './errors';

/**
 * The part of Temporal's data converter that is yours. Its payload converter is not: requests and votes are JSON, and one that cannot be
 * read must not stop a coordinator.
 */
export type TransactionDataConverter = Pick<DataConverter, 'payloadCodecs' | 'failureConverterPath'>;

/**
 * Finds the data converter.
 *
 * @throws {InvalidEncryptionKeys} {InvalidDataConverter}
 */
export function dataConverterOf(given: TransactionDataConverter | undefined): TransactionDataConverter {
  if (given !== undefined) return checked('The data converter that was given', given);
  const keys = process.env['TXN_ENCRYPTION_KEYS'] || undefined;
  const module = process.env['TXN_DATA_CONVERTER'] || undefined;
  if (keys !== undefined && module !== undefined)
    throw new InvalidDataConverter('Both TXN_ENCRYPTION_KEYS and TXN_DATA_CONVERTER are set', 'Set one of them.');
  if (keys !== undefined) return encryptedDataConverter(encryptionKeysFrom(keys));
  return module === undefined ? {} : load(module);
}

function load(module: string): TransactionDataConverter {
  const named = `The module ${show(module)} of TXN_DATA_CONVERTER`;
  let exported: unknown;
  try {
    // The file is known only at run time, and the answer is needed before anything is connected to.
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    exported = require(resolve(module));
  } catch (error) {
    if (error instanceof InvalidEncryptionKeys) throw error;
    // Its message may quote a key.
    const what = error instanceof Error ? error.name : 'something';
    throw new InvalidDataConverter(`${named} cannot be loaded (${what})`, 'Load it by itself with node to see why.');
  }
  const { dataConverter } = exported as { readonly dataConverter?: unknown };
  if (typeof dataConverter !== 'object' || dataConverter === null)
    throw new InvalidDataConverter(`${named} exports no dataConverter`, 'Export an object of that name.');
  return checked(named, dataConverter);
}

function checked(named: string, converter: DataConverter): TransactionDataConverter {
  const { payloadCodecs, failureConverterPath, ...others } = converter;
  const [other] = Object.keys(others);
  if (other !== undefined)
    throw new InvalidDataConverter(
      `${named} has ${show(other)}`,
      'Only payloadCodecs and failureConverterPath can be set: requests and votes are JSON.',
    );
  return {
    ...(payloadCodecs === undefined ? {} : { payloadCodecs }),
    ...(failureConverterPath === undefined ? {} : { failureConverterPath }),
  };
}
