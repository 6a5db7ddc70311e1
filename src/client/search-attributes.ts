/** Registers and checks the search attributes: a workflow that sets one which is not registered stalls without a word. */
import { isGrpcServiceError } from '@temporalio/client';
import type { OperatorService, WorkflowService } from '@temporalio/client';
import { searchAttributeList } from '../observability';
import type { SearchAttributeType } from '../observability';
import { CLI_TYPES, SearchAttributesMissing } from './errors';

interface Asked {
  readonly operatorService: Pick<OperatorService, 'listSearchAttributes' | 'addSearchAttributes'>;
  /** Asked where the operator's service is not for us. */
  readonly workflowService: Pick<WorkflowService, 'countWorkflowExecutions'>;
}

/** The numbers of `temporal.api.enums.v1.IndexedValueType`, which the SDK exports only from its internals. */
const INDEXED_VALUE_TYPES: Readonly<Record<SearchAttributeType, number>> = { KEYWORD: 2, BOOL: 5, KEYWORD_LIST: 7 };

/**
 * Checks that a namespace has the attributes. Workers do so when they start.
 *
 * @throws {SearchAttributesMissing} with the commands that register them
 */
export async function checkSearchAttributes(connection: Asked, namespace: string): Promise<void> {
  const missing = await missingAttributes(connection, namespace);
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
 * Looks which of the attributes a namespace has. Changes nothing. Where the operator's service is closed to us, as on Temporal Cloud, it
 * learns that from queries, which do not tell Keyword from KeywordList.
 *
 * @example const { missing, conflicting } = await inspectSearchAttributes(client.connection, 'default');
 */
export async function inspectSearchAttributes(connection: Asked, namespace: string): Promise<SearchAttributesFound> {
  const found = await typesFound(connection, namespace);
  const all = searchAttributeList().map(({ name, type }) => ({ name, type, found: found.get(name) }));
  const known = all.flatMap((one) => (one.found === undefined ? [] : [{ ...one, found: one.found }]));
  const isOurs = ({ type, found: actual }: (typeof known)[number]): boolean => actual === CLI_TYPES[type];
  return {
    present: known.filter(isOurs).map(({ name }) => name),
    missing: all.filter((one) => one.found === undefined).map(({ name }) => name),
    conflicting: known.filter((one) => !isOurs(one)),
  };
}

/** The types of the attributes that there are, by their names. */
async function typesFound(connection: Asked, namespace: string): Promise<ReadonlyMap<string, string>> {
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return new Map(
      Object.entries(customAttributes).map(([name, type]) => [
        name,
        TYPE_NAMES[Number(type)] ?? `type ${Number(type)}`,
      ]),
    );
  } catch (error) {
    if (!isAnswer(error, CLOSED)) throw error;
    const probed = await Promise.all(
      searchAttributeList().map(
        async ({ name, type }) => [name, await probe(connection, namespace, name, type)] as const,
      ),
    );
    return new Map(probed.flatMap(([name, type]) => (type === undefined ? [] : [[name, type] as const])));
  }
}

/** What a server answers whose operator's service is not for us: PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED. */
const CLOSED: readonly number[] = [7, 12, 16];
/** INVALID_ARGUMENT. */
const REFUSED: readonly number[] = [3];

const isAnswer = (error: unknown, codes: readonly number[]): error is Error & { readonly details: string } =>
  isGrpcServiceError(error) && codes.includes(error.code);

/** A query for an attribute that is not registered, or for a value that its type cannot have, is refused. */
async function probe(
  { workflowService }: Asked,
  namespace: string,
  name: string,
  type: SearchAttributeType,
): Promise<string | undefined> {
  try {
    await workflowService.countWorkflowExecutions({
      namespace,
      query: `${name} = ${type === 'BOOL' ? 'true' : "'none'"}`,
    });
    return CLI_TYPES[type];
  } catch (error) {
    if (!isAnswer(error, REFUSED)) throw error;
    return /invalid value type for search attribute \w+ of type (\w+)/.exec(error.details)?.[1];
  }
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

/** Registers the attributes that a namespace lacks. On Temporal Cloud register them in its console, or with `tcld`, instead. */
export async function registerSearchAttributes(connection: Asked, namespace: string): Promise<void> {
  const missing = await missingAttributes(connection, namespace);
  if (missing.length === 0) return;
  await connection.operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(missing.map(({ name, type }) => [name, INDEXED_VALUE_TYPES[type]])),
  });
}

async function missingAttributes(connection: Asked, namespace: string) {
  const { present } = await inspectSearchAttributes(connection, namespace);
  return searchAttributeList().filter(({ name }) => !present.includes(name));
}
