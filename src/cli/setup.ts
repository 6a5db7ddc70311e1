/** The command `setup`: makes a namespace, and the databases if asked for, ready for workers. Safe to run any number of times. */
import { inspectSearchAttributes, registerSearchAttributes } from '../client';
import { checkSchema, migrate } from '../participant';
import { tellFailure } from './databases';
import type { Database } from './databases';
import { MigrationRefused, SearchAttributeConflict, TemporalSaidNo } from './errors';
import { ExitCode } from './exit-code';
import { count, printable } from './printable';
import { block } from './table';
import type { Answer } from './table';
import type { TemporalAccess } from './temporal';
import { savedViews } from './web-ui';
import type { View } from './web-ui';

export interface SetupRequest {
  readonly mode: 'apply' | 'check';
  /** Databases whose schema is looked at, or migrated; none: only Temporal. */
  readonly databases: readonly Database[];
  readonly webUi?: URL;
}

interface Attributes {
  readonly present: readonly string[];
  /** Registered now, or with `check` those that are to be. */
  readonly registered: readonly string[];
}

interface Schema {
  readonly participant: string;
  readonly state: 'up to date' | 'migrated' | 'to be migrated';
  readonly found?: string;
}

/**
 * Sets up, or with `check` only tells what there is to do.
 *
 * @throws {SearchAttributeConflict} when an attribute has another type
 * @throws {TemporalSaidNo} when the namespace is not there, or attributes may not be registered
 * @throws {MigrationRefused} when a database refuses or does not answer
 */
export async function setUp(temporal: TemporalAccess, { mode, databases, webUi }: SetupRequest): Promise<Answer> {
  const attributes = await setUpAttributes(temporal, mode);
  const schemas: Schema[] = [];
  for (const database of databases) schemas.push(await setUpSchema(database, mode, schemas));
  const views = webUi === undefined ? [] : savedViews(webUi, temporal.namespace);
  const toDo = mode === 'check' && (attributes.registered.length > 0 || schemas.some(isToBeMigrated));
  const changed = mode === 'apply' && (attributes.registered.length > 0 || schemas.some(isMigrated));
  return {
    exitCode: toDo ? ExitCode.NeedsPerson : ExitCode.Well,
    text: tell(temporal, { mode, changed, toDo, attributes, schemas, views }),
    json: { changed, toDo, namespace: temporal.namespace, searchAttributes: attributes, schemas, views },
  };
}

const isMigrated = ({ state }: Schema): boolean => state === 'migrated';
const isToBeMigrated = ({ state }: Schema): boolean => state === 'to be migrated';

async function setUpAttributes({ connection, namespace }: TemporalAccess, mode: SetupRequest['mode']) {
  const what = `the search attributes of namespace ${printable(namespace)}`;
  const { present, missing, conflicting } = await inspectSearchAttributes(connection, namespace).catch(
    (error: unknown) => {
      throw new TemporalSaidNo(`${what} could not be read`, reasonOf(error), NAMESPACE_REMEDY);
    },
  );
  if (conflicting.length > 0)
    throw new SearchAttributeConflict(
      namespace,
      conflicting.map(({ name, type, found }) => `${name} is ${found}, not ${TYPES[type]}`),
    );
  if (missing.length > 0 && mode === 'apply')
    await registerSearchAttributes(connection, namespace).catch((error: unknown) => {
      throw new TemporalSaidNo(`${what} could not be registered`, reasonOf(error), REGISTER_REMEDY);
    });
  return { present, registered: missing };
}

const TYPES = { KEYWORD: 'Keyword', KEYWORD_LIST: 'KeywordList', BOOL: 'Bool' } as const;
const NAMESPACE_REMEDY = 'Check the namespace: --namespace, TEMPORAL_NAMESPACE, temporal operator namespace list.';
const REGISTER_REMEDY = 'Register them as an administrator of the namespace; on Temporal Cloud, in its console.';

const reasonOf = (error: unknown): string =>
  `${printable(error instanceof Error ? error.message : String(error)).replace(/\.$/, '')}.`;

async function setUpSchema(database: Database, mode: SetupRequest['mode'], done: readonly Schema[]): Promise<Schema> {
  const { participant, pool } = database;
  const found = await whatIsWrong(database);
  if (found === undefined) return { participant, state: 'up to date' };
  if (mode === 'check') return { participant, state: 'to be migrated', found };
  try {
    await migrate(pool);
    return { participant, state: 'migrated' };
  } catch (error) {
    throw new MigrationRefused(
      participant,
      tellFailure(database, error),
      done.filter(isMigrated).map((schema) => schema.participant),
    );
  }
}

async function whatIsWrong(database: Database): Promise<string | undefined> {
  try {
    await checkSchema(database.pool);
    return undefined;
  } catch (error) {
    return tellFailure(database, error);
  }
}

interface Told {
  readonly mode: SetupRequest['mode'];
  readonly changed: boolean;
  readonly toDo: boolean;
  readonly attributes: Attributes;
  readonly schemas: readonly Schema[];
  readonly views: readonly View[];
}

function tell(
  { address, namespace }: TemporalAccess,
  { mode, changed, toDo, attributes, schemas, views }: Told,
): string {
  const { present, registered } = attributes;
  return [
    summary(changed, toDo),
    block(`Search attributes of namespace ${printable(namespace)} at ${printable(address)}`, [
      ['were there', present.join(', ') || 'none'],
      [mode === 'apply' ? 'registered' : 'missing', registered.join(', ') || 'none'],
    ]),
    ...(schemas.length === 0
      ? []
      : [
          block(
            `Schema txn of ${count(schemas.length, 'database')}`,
            schemas.map(({ participant, state, found }) => [
              participant,
              found === undefined ? state : `${state}: ${found}`,
            ]),
          ),
        ]),
    ...(views.length === 0
      ? []
      : [
          block(
            'Views of the Web UI',
            views.map(({ name, url }) => [name, url]),
          ),
        ]),
  ].join('\n\n');
}

function summary(changed: boolean, toDo: boolean): string {
  if (toDo) return 'Nothing was changed. There is something to set up: run it again without --check.';
  return changed ? 'Set up.' : 'Nothing was changed: everything was there.';
}
