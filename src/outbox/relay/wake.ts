/**
 * Tells relays that there is something to publish, and hears it. NOTIFY is sent on a connection of its own and after the commit:
 * in a prepared transaction it is forbidden, and in any other it takes a lock of the whole server at commit. It is a hint and may
 * be lost; relays also look by themselves.
 *
 * @see PostgreSQL manual, NOTIFY
 */
import type { Pool, PoolClient } from 'pg';

const CHANNEL = 'txn_outbox';

/** Between two notifications of a process. */
const PAUSE_MS = 2;

const senders = new WeakMap<Pool, { again: boolean }>();

/**
 * Has relays look now. For after the commit of a transaction of your own that appended events; operations of participants do it
 * by themselves. Calls that come while one is under way become one.
 *
 * @param pool connections to the database of the outbox
 * @example
 * await client.query('commit');
 * wakeRelays(pool);
 */
export function wakeRelays(pool: Pool): void {
  const sending = senders.get(pool);
  if (sending) {
    sending.again = true;
    return;
  }
  const own = { again: false };
  senders.set(pool, own);
  const next = (): void => {
    senders.delete(pool);
    if (own.again) wakeRelays(pool);
  };
  const pause = (): void => void setTimeout(next, PAUSE_MS).unref();
  // Lost hints cost a poll: the transaction that we speak of has committed, and must not seem to fail.
  pool.query(`notify ${CHANNEL}`).then(pause, pause);
}

/** After a lost connection, in milliseconds. */
const RECONNECT_MS = 1_000;

/** Hears notifications, and lets any number of loops wait for them. */
export class Wakes {
  readonly #waiting = new Set<() => void>();
  #heard = 0;
  #client: PoolClient | undefined;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(private readonly pool: Pool) {}

  /** Begins to listen. Where that fails, it goes on trying: until then its loops only poll. */
  async listen(): Promise<void> {
    if (this.#closed) return;
    let client: PoolClient | undefined;
    try {
      client = await this.pool.connect();
      client.on('error', () => this.#lost(client));
      client.on('notification', () => this.wake());
      await client.query(`listen ${CHANNEL}`);
      this.#client = client;
      // What was sent before is not heard.
      this.wake();
    } catch {
      this.#lost(client);
    }
    if (this.#closed) this.close();
  }

  #lost(client: PoolClient | undefined): void {
    this.#client = undefined;
    if (client) end(client);
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.listen(), RECONNECT_MS);
    this.#retry.unref();
  }

  /** How often it was woken so far. */
  get heard(): number {
    return this.#heard;
  }

  /** Ends all waits. */
  wake(): void {
    this.#heard++;
    for (const done of [...this.#waiting]) done();
  }

  /** Waits for a notification that comes after `since`, a time in milliseconds, or the signal. */
  async wait(ms: number, signal: AbortSignal, since = this.#heard): Promise<void> {
    if (signal.aborted || this.#heard !== since) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done);
      this.#waiting.add(done);
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    if (this.#client) end(this.#client);
    this.#client = undefined;
    this.wake();
  }
}

const ended = new WeakSet<PoolClient>();

/** It listens, so nobody else may have it. */
function end(client: PoolClient): void {
  if (ended.has(client)) return;
  ended.add(client);
  client.release(true);
}
