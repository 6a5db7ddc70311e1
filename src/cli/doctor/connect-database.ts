/**
 * The doctor's first contact with a database: whether it answers, who is between us and it, and what tells it from others. It comes
 * before everything else, because behind a pooler that shares sessions a mere `set` would reach other people's transactions.
 */
import { TLSSocket } from 'node:tls';
import type { ClientBase, Pool } from 'pg';

export interface Contact {
  readonly host: string;
  readonly encryption: 'none' | 'unverified' | 'verified';
  /** Whether two connections that are open at the same time had one session of the server between them. */
  readonly sharesSessions: boolean;
  /** Of the server: the same for all its databases. Undefined where the role may not read it. */
  readonly server: string | undefined;
  /** Its number in that server, and its name. */
  readonly oid: number;
  readonly database: string;
}

const SESSION = `select pg_backend_pid() as pid`;
const DATABASE = `select oid::int as oid, datname::text as database from pg_database where datname = current_database()`;
const SERVER = `select system_identifier::text as server from pg_control_system()`;

/** Connects twice. Sets nothing. */
export async function connectDatabase(pool: Pool): Promise<Contact> {
  const clients: (ClientBase & { release(destroy: boolean): void })[] = [];
  try {
    const pids: number[] = [];
    for (let i = 0; i < 2; i++) {
      const client = await pool.connect();
      clients.push(client);
      const { rows } = await client.query<{ pid: number }>(SESSION);
      pids.push(rows[0]?.pid ?? 0);
    }
    const [client] = clients;
    if (client === undefined) throw new Error('It did not answer.');
    const { rows } = await client.query<{ oid: number; database: string }>(DATABASE);
    const server = await client.query<{ server: string }>(SERVER).catch(() => undefined);
    return {
      ...wireOf(client),
      sharesSessions: pids[0] === pids[1],
      server: server?.rows[0]?.server,
      oid: rows[0]?.oid ?? 0,
      database: rows[0]?.database ?? '',
    };
  } finally {
    for (const client of clients) client.release(true);
  }
}

/** What the connection is made of; the server may be behind a proxy, so it is our end that is asked. */
function wireOf(client: ClientBase): Pick<Contact, 'host' | 'encryption'> {
  // Cast: in the client, not in its types.
  const { host, connection } = client as unknown as {
    readonly host: string;
    readonly connection: { readonly stream: unknown };
  };
  const { stream } = connection;
  if (!(stream instanceof TLSSocket)) return { host, encryption: 'none' };
  return { host, encryption: stream.authorized ? 'verified' : 'unverified' };
}
