/** Registers and checks the search attributes: a workflow that sets one which is not registered stalls without a word. */
import type { OperatorService } from '@temporalio/client';
import { searchAttributeList } from '../observability';
import type { SearchAttributeType } from '../observability';
import { SearchAttributesMissing } from './errors';

interface Operator {
  readonly operatorService: Pick<OperatorService, 'listSearchAttributes' | 'addSearchAttributes'>;
}

/** The numbers of `temporal.api.enums.v1.IndexedValueType`, which the SDK exports only from its internals. */
const INDEXED_VALUE_TYPES: Readonly<Record<SearchAttributeType, number>> = { KEYWORD: 2, BOOL: 5, KEYWORD_LIST: 7 };

/**
 * Checks that a namespace has the attributes. Workers do so when they start.
 *
 * @throws {SearchAttributesMissing} with the commands that register them
 */
export async function checkSearchAttributes({ operatorService }: Operator, namespace: string): Promise<void> {
  const missing = await missingAttributes(operatorService, namespace);
  if (missing.length > 0) throw new SearchAttributesMissing(missing, namespace);
}

/** How the attributes stand in a namespace. */
export interface SearchAttributesFound {
  readonly present: readonly string[];
  readonly missing: readonly string[];
  /** Registered with a type that is not ours: Temporal cannot change it. */
  readonly conflicting: readonly {
    readonly name: string;
    readonly type: SearchAttributeType;
    readonly found: string;
  }[];
}

/**
 * Looks which of the attributes a namespace has. Changes nothing.
 *
 * @example const { missing, conflicting } = await inspectSearchAttributes(client.connection, 'default');
 */
export async function inspectSearchAttributes(
  { operatorService }: Operator,
  namespace: string,
): Promise<SearchAttributesFound> {
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  const found = searchAttributeList().map(({ name, type }) => ({ name, type, number: customAttributes[name] }));
  const known = found.flatMap((one) => (one.number === undefined ? [] : [{ ...one, number: Number(one.number) }]));
  return {
    present: known.filter(({ type, number }) => number === INDEXED_VALUE_TYPES[type]).map(({ name }) => name),
    missing: found.filter(({ number }) => number === undefined).map(({ name }) => name),
    conflicting: known
      .filter(({ type, number }) => number !== INDEXED_VALUE_TYPES[type])
      .map(({ name, type, number }) => ({ name, type, found: TYPE_NAMES[number] ?? `type ${number}` })),
  };
}

/** As the Temporal CLI calls them, by their number. */
const TYPE_NAMES: Readonly<Record<number, string>> = {
  1: 'Text',
  2: 'Keyword',
  3: 'Int',
  4: 'Double',
  5: 'Bool',
  6: 'Datetime',
  7: 'KeywordList',
};

/** Registers the attributes that a namespace lacks. On Temporal Cloud register them in its console instead. */
export async function registerSearchAttributes({ operatorService }: Operator, namespace: string): Promise<void> {
  const missing = await missingAttributes(operatorService, namespace);
  if (missing.length === 0) return;
  await operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(missing.map(({ name, type }) => [name, INDEXED_VALUE_TYPES[type]])),
  });
}

async function missingAttributes(operatorService: Operator['operatorService'], namespace: string) {
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  return searchAttributeList().filter(({ name, type }) => Number(customAttributes[name]) !== INDEXED_VALUE_TYPES[type]);
}
