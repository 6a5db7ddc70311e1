/**
 * Handles a message once, however often it is delivered: what was received is a row in the database of the effect, written in the
 * same local transaction (rule X4). A delivery that comes while another one is handled waits for it at that row.
 *
 * Nothing else has this promise: of a mail or a call to another service, nobody can know whether it happened before the crash.
 *
 * @see Richardson: Microservices Patterns, 2018, 3.3.6: handling duplicate messages
 */
import { createHash } from 'node:crypto';
import type { Pool } from 'pg';
import { inSpan, SPAN_ATTRIBUTES, SPANS, traceContext } from '../../observability';
import type { SpanRequest } from '../../observability';
import { canonicalJson } from '../../protocol';
import type { LocalTimeouts } from '../../protocol';
import type { AdaptedTransaction } from '../adapters';
import { asJson } from '../as-json';
import { checkText } from '../check-text';
import { hasSqlState } from '../database-errors';
import { InvalidEventError, MessageInProgressError, MessageMismatchError } from '../errors';
import { checkData } from '../event';
import { inHandlerTransaction, isPool } from '../handler-transaction';
import type { HandlerTransaction } from '../handler-transaction';

/** A message as it was received: a CloudEvent, an event of the outbox, or what you make of another. */
export interface ReceivedMessage {
  /** By it, and the source, the message is known again. 1 to 200 characters. */
  readonly id: string;
  /** Who gave it the id. At most 200 characters. @default none */
  readonly source?: string;
  readonly type?: string;
  /** What JSON can hold. It is the same in every delivery. */
  readonly data?: unknown;
  /** W3C trace context, of where the message began or of who delivers it: the trace to go on with where none is active. */
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

/** What became of a delivery. */
export interface Received<Outcome> {
  /** What the handler answered, now or when the message came first. */
  readonly outcome: Outcome;
  /** Whether the message had been handled before: then nothing was done now. */
  readonly duplicate: boolean;
}

/** Where a consumer receives its messages. */
export interface Inbox {
  readonly consumer: string;
  /**
   * Handles a message in a transaction of its own, unless that has been done. What the handler throws rolls everything back, so
   * the next delivery tries again; for a "no" that is final, return it.
   *
   * @param handler gets the transaction; what it answers is stored: what JSON can hold, or nothing
   * @throws {MessageMismatchError} the id came with another content before; nothing was changed
   * @throws {MessageInProgressError} another delivery is being handled; nothing was changed, deliver it again
   * @throws what the handler throws, and what the database answers: deliver it again
   * @example
   * const { duplicate } = await inbox.receive(pool, event, async (tx) => {
   *   await tx.query('update stock set reserved = reserved + $1 where sku = $2', [event.data.quantity, event.data.sku]);
   * });
   */
  receive<Outcome>(
    pool: Pool,
    message: ReceivedMessage,
    handler: (tx: HandlerTransaction) => Promise<Outcome>,
  ): Promise<Received<Outcome>>;
  /**
   * The same inside a transaction of yours, as the `tx` of an operation. Where the handler throws, the transaction is as it was
   * before, and can go on.
   */
  receive<Outcome, Tx extends AdaptedTransaction>(
    tx: Tx,
    message: ReceivedMessage,
    handler: (tx: Tx) => Promise<Outcome>,
  ): Promise<Received<Outcome>>;
}

export interface InboxOptions {
  /** Of the transactions that it runs itself: how long a delivery waits for another one, among others. */
  readonly timeouts?: Partial<LocalTimeouts>;
}

/**
 * Declares the inbox of a consumer.
 *
 * @param consumer what handles the messages, 1 to 200 characters: two consumers in one database each handle a message once
 * @throws {InvalidEventError} when the name is none
 * @example const inbox = defineInbox('inventory');
 */
export function defineInbox(consumer: string, { timeouts }: InboxOptions = {}): Inbox {
  checkText('consumer', consumer);
  return {
    consumer,
    async receive<Outcome>(
      db: Pool | AdaptedTransaction,
      message: ReceivedMessage,
      handler: (tx: never) => Promise<Outcome>,
    ): Promise<Received<Outcome>> {
      const hash = checkMessage(message);
      const once = (tx: AdaptedTransaction): Promise<Received<Outcome>> =>
        handleOnce(tx, consumer, message, hash, () => handler(tx as never));
      const receiving = (): Promise<Received<Outcome>> =>
        isPool(db)
          ? inHandlerTransaction(db, { label: `txn:inbox:${consumer}`, timeouts }, once)
          : atomically(db, () => once(db));
      return inSpan(spanOf(message), receiving, ({ duplicate }) => ({ outcome: duplicate ? 'duplicate' : 'handled' }));
    },
  };
}

// READ COMMITTED: `do nothing` waits for a delivery in flight, and inserts when that one is rolled back.
const INSERT = `
  insert into txn.inbox (consumer, source, message_id, content_hash)
  values ($1, $2, $3, decode($4, 'hex'))
  on conflict (consumer, source, message_id) do nothing
  returning 1 as inserted`;

// As a text: how the application's driver parses JSON is its own affair, and the stored answer is not.
const FIND = `
  select encode(content_hash, 'hex') as hash, outcome::text as outcome
    from txn.inbox where consumer = $1 and source = $2 and message_id = $3`;

const RECORD = `
  update txn.inbox set outcome = $4::json where consumer = $1 and source = $2 and message_id = $3`;

async function handleOnce<Outcome>(
  tx: AdaptedTransaction,
  consumer: string,
  { id, source = '' }: ReceivedMessage,
  hash: string,
  handle: () => Promise<Outcome>,
): Promise<Received<Outcome>> {
  const key = [consumer, source, id];
  const inserted = await tx.query(INSERT, [...key, hash]).catch((error: unknown) => {
    throw hasSqlState(error, LOCK_NOT_AVAILABLE) ? new MessageInProgressError(consumer, id) : error;
  });
  if (inserted.rows.length === 0) {
    const { rows } = await tx.query(FIND, key);
    const [found] = rows as { hash: string; outcome: string | null }[];
    // Purged between the two statements: as good as being handled at this moment.
    if (!found) throw new MessageInProgressError(consumer, id);
    if (found.hash !== hash) throw new MessageMismatchError(consumer, id);
    return { outcome: parseOutcome<Outcome>(found.outcome), duplicate: true };
  }
  const outcome = await handle();
  if (outcome === undefined) return { outcome, duplicate: false };
  checkData('outcome', outcome);
  const json = JSON.stringify(outcome);
  await tx.query(RECORD, [...key, json]);
  // As every later delivery gets it.
  return { outcome: parseOutcome<Outcome>(json), duplicate: false };
}

const LOCK_NOT_AVAILABLE = '55P03';

/** A message that comes in a span of its own, of an activity or of a client of the broker, belongs there. */
const spanOf = (message: ReceivedMessage): SpanRequest => ({
  name: `${SPANS.receive}${message.type ?? 'message'}`,
  kind: 'consumer',
  attributes: { [SPAN_ATTRIBUTES.event]: message.id },
  ...(traceContext().traceparent ? {} : { continues: message }),
});

/** A handler that answers nothing has nothing stored. */
const parseOutcome = <Outcome>(json: string | null): Outcome =>
  (json === null ? undefined : JSON.parse(json)) as Outcome;

/** In the caller's transaction a failure must not leave the row behind: the caller may catch it and commit. */
async function atomically<T>(tx: AdaptedTransaction, work: () => Promise<T>): Promise<T> {
  await tx.query('savepoint txn_inbox', []);
  let result: T;
  try {
    result = await work();
  } catch (error) {
    // Where even this fails, the connection is lost, and the transaction with it.
    await tx.query('rollback to savepoint txn_inbox', []).catch(() => undefined);
    await tx.query('release savepoint txn_inbox', []).catch(() => undefined);
    throw error;
  }
  await tx.query('release savepoint txn_inbox', []);
  return result;
}

/** @returns the hash that tells another content apart: all that is kept of it */
function checkMessage({ id, source, type, data }: ReceivedMessage): string {
  checkText('message.id', id);
  if (source !== undefined) checkText('message.source', source, 0);
  let content: string;
  try {
    content = canonicalJson({ type, data: data === undefined ? undefined : asJson(data) });
  } catch (error) {
    throw new InvalidEventError('message.data', `cannot be written as JSON (${String(error)})`, 'what JSON can hold');
  }
  return createHash('sha256').update(content).digest('hex');
}
