/**
 * Registers search attributes with a running server. Both of Temporal's local servers need it: the dev server takes attributes on its
 * command line, but only for a database that is new; the test server takes none.
 */
import type { Connection } from '@temporalio/client';
import type { SearchAttributeType } from '@temporalio/common';

/** What `defineSearchAttributeKey` of `@temporalio/common` makes. */
export interface SearchAttribute {
  readonly name: string;
  readonly type: SearchAttributeType;
}

/** The numbers of `temporal.api.enums.v1.IndexedValueType`, which the SDK exports only from its internals. */
const INDEXED_VALUE_TYPES: Readonly<Record<SearchAttributeType, number>> = {
  TEXT: 1,
  KEYWORD: 2,
  INT: 3,
  DOUBLE: 4,
  BOOL: 5,
  DATETIME: 6,
  KEYWORD_LIST: 7,
};

/** Registers what is missing. Attributes that are there stay as they are. */
export async function registerSearchAttributes(
  connection: Connection,
  namespace: string,
  attributes: readonly SearchAttribute[],
): Promise<void> {
  if (attributes.length === 0) return;
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  await addSearchAttributes(
    connection,
    namespace,
    attributes.filter(({ name }) => !(name in customAttributes)),
  );
}

/** Registers attributes with a server that has none yet. The time-skipping server can do this, but cannot list what it has. */
export async function addSearchAttributes(
  connection: Connection,
  namespace: string,
  attributes: readonly SearchAttribute[],
): Promise<void> {
  if (attributes.length === 0) return;
  const searchAttributes = Object.fromEntries(attributes.map(({ name, type }) => [name, INDEXED_VALUE_TYPES[type]]));
  await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
}
