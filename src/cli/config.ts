/**
 * Which participants there are and where their databases: from a JSON file and from the environment, never from arguments,
 * which every user of the machine can read. No message of this file shows a value, because a value may hold a password.
 */
import { existsSync, readFileSync } from 'node:fs';
import { parseParticipantName, show } from '../protocol';
import { InvalidConfiguration, NoDatabaseConfigured } from './errors';

/** Connection strings by the name of the participant. */
export type DatabaseUrls = ReadonlyMap<string, string>;

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_FILE = './temporal-txn.json';
const VARIABLE = /^TXN_DATABASE_([A-Z][A-Z0-9_]*)$/;

/**
 * Reads the configuration. A variable of the environment outranks the file.
 *
 * @param file the file that was asked for; otherwise TXN_CONFIG, or ./temporal-txn.json when it is there
 * @throws {InvalidConfiguration}
 * @throws {NoDatabaseConfigured}
 */
export function readConfiguration(file: string | undefined, environment: Environment = process.env): DatabaseUrls {
  const path =
    file ?? (environment['TXN_CONFIG'] || undefined) ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
  const urls = new Map([
    ...(path === undefined ? [] : fromFile(path, environment)),
    ...Object.entries(environment).flatMap(([name, value]) => fromVariable(name, value)),
  ]);
  if (urls.size === 0) throw new NoDatabaseConfigured();
  return urls;
}

function fromFile(path: string, environment: Environment): [string, string][] {
  const where = `the configuration file ${show(path)}`;
  const { databases, ...others } = objectOf(parse(where, load(where, path)), where);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw new InvalidConfiguration(where, `has a field ${show(unknown)}. The only one there is is "databases".`);
  return Object.entries(objectOf(databases, `"databases" of ${where}`)).map(([name, value]) => {
    const what = `database ${show(name)} of ${where}`;
    if (typeof value !== 'string') throw new InvalidConfiguration(what, 'is not a text. Give a connection string.');
    return [nameOf(name, what), checkUrl(substitute(value, environment, what), what)];
  });
}

function load(where: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new InvalidConfiguration(where, `cannot be read (${code}). Check --config and TXN_CONFIG.`);
  }
}

/** The parser's own message quotes the text around the mistake, and that may be a password. */
function parse(where: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const position = /position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
    const line = position === undefined ? undefined : text.slice(0, Number(position)).split('\n').length;
    throw new InvalidConfiguration(
      where,
      `is not JSON${line === undefined ? '' : `: look at line ${line}`}. Mend it with an editor that checks JSON.`,
    );
  }
}

function objectOf(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InvalidConfiguration(where, 'is not an object. Write { "databases": { "north-bank": "postgres://…" } }.');
}

/** TXN_DATABASE_NORTH_BANK is of north-bank. */
function fromVariable(variable: string, value: string | undefined): [string, string][] {
  const name = VARIABLE.exec(variable)?.[1]?.toLowerCase().replaceAll('_', '-');
  if (name === undefined || value === undefined || value === '') return [];
  return [[nameOf(name, `the variable ${variable}`), checkUrl(value, `the variable ${variable}`)]];
}

function nameOf(name: string, where: string): string {
  try {
    return parseParticipantName(name);
  } catch {
    throw new InvalidConfiguration(
      where,
      "names no participant: a participant's name is 1 to 63 characters of a-z 0-9 -, the first a letter.",
    );
  }
}

const substitute = (value: string, environment: Environment, where: string): string =>
  value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => {
    const found = environment[name];
    if (found === undefined || found === '')
      throw new InvalidConfiguration(where, `needs the variable ${name}, which is not set or empty. Set it.`);
    return found;
  });

function checkUrl(text: string, where: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol))
    throw new InvalidConfiguration(
      where,
      'is not a connection string such as postgres://user:password@host:5432/database. In user and password, write ' +
        'characters such as @ : / ? # % percent-encoded.',
    );
  // What was meant as the end of a password would be taken for a database or role, and be shown as one.
  if (url.pathname.includes('@') || url.username.includes('%40') || url.hash !== '')
    throw new InvalidConfiguration(
      where,
      'has an @ or # where none can be. In user and password, write them percent-encoded: %40, %23.',
    );
  return text;
}
