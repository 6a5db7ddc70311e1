/** Events as they are appended to streams and read from them, and how old ones are brought up to date. */
import type { EventTypes } from '../append';
import { UnreadableEventError } from '../errors';
import type { Json } from '../event';

/** Any event of a service: its type and data. */
export type EventOf<Types extends EventTypes> = {
  readonly [Type in keyof Types & string]: { readonly type: Type; readonly data: Types[Type] };
}[keyof Types & string];

/** What is stored beside an event. */
export type EventMetadata = Readonly<Record<string, Json>>;

/** An event to append. */
export type NewStreamEvent<Types extends EventTypes> = EventOf<Types> & {
  /** By it a repeated append is recognised: give the same one when you try again. 1 to 200 characters. @default a UUID */
  readonly id?: string;
  /** What belongs to the event and is no business data: who, why, from where. */
  readonly metadata?: EventMetadata;
};

/** What is stored of every event, beside its type and data. */
export interface StoredFields {
  readonly id: string;
  readonly stream: string;
  /** Its place in the stream: 1, 2, 3, … without a gap. */
  readonly version: number;
  /** Its place among all events. It is given after the commit, so an event that was just read from its stream may have none. */
  readonly position?: number;
  /** When it was appended, which is before its transaction committed. Never before that of the version before it. */
  readonly time: Date;
  readonly metadata?: EventMetadata;
  /** The transaction and branch that it was appended in, if there was one. */
  readonly transaction?: string;
  readonly branch?: string;
}

/** An event as it is read: its data is in the present form, whatever form it was stored in. */
export type StoredEvent<Types extends EventTypes = EventTypes> = EventOf<Types> & StoredFields;

/** An event as it is read by position: it has one. */
export type NumberedEvent<Types extends EventTypes = EventTypes> = StoredEvent<Types> & { readonly position: number };

/**
 * For each type the functions that bring its data up to date, oldest first: the first makes the second form of the first, and so
 * on; the last makes what `Types` says. An event that is appended has the form after the last of them.
 *
 * @example { Opened: [], Deposited: [(old: { amount: number }) => ({ amount: old.amount, currency: 'EUR' })] }
 */
export type Upcasters<Types extends EventTypes> = {
  readonly [Type in keyof Types & string]:
    readonly [] | readonly [...((data: never) => unknown)[], (data: never) => Types[Type]];
};

/** An event as the database gives it. */
export interface EventRow {
  readonly stream: string;
  readonly version: number;
  readonly id: string;
  readonly type: string;
  readonly revision: number;
  readonly data: unknown;
  readonly metadata: EventMetadata | null;
  readonly transaction_id: string | null;
  readonly branch_id: string | null;
  readonly created_at: string;
  readonly position: number | null;
}

/** The form that data of a type is appended in. */
export function revisionOf<Types extends EventTypes>(upcasters: Upcasters<Types>, type: keyof Types & string): number {
  return upcasters[type].length + 1;
}

/**
 * Brings an event up to date.
 *
 * @throws {UnreadableEventError} the type is unknown, a function failed, or a newer program has written it (rule E7)
 */
export function readEvent<Types extends EventTypes>(upcasters: Upcasters<Types>, row: EventRow): StoredEvent<Types> {
  const { stream, version, id, type, revision, metadata, transaction_id, branch_id, position } = row;
  const unreadable = (why: string, options?: ErrorOptions): UnreadableEventError =>
    new UnreadableEventError(stream, version, id, type, why, options);

  if (!Object.hasOwn(upcasters, type)) throw unreadable('this program does not know its type. Deploy one that does');
  const chain: readonly ((data: never) => unknown)[] = upcasters[type as keyof Types & string];
  if (revision > chain.length + 1)
    throw unreadable(
      `it has revision ${revision}, and this program knows up to ${chain.length + 1}. Deploy the newer one`,
    );
  let { data } = row;
  for (const [i, upcast] of chain.entries()) {
    if (i + 1 < revision) continue;
    try {
      data = upcast(data as never);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw unreadable(`bringing it from revision ${i + 1} to ${i + 2} failed (${why})`, { cause: error });
    }
  }
  const event = {
    type,
    data,
    id,
    stream,
    version,
    ...(position === null ? {} : { position }),
    time: new Date(row.created_at),
    ...(metadata === null ? {} : { metadata }),
    ...(transaction_id === null ? {} : { transaction: transaction_id }),
    ...(branch_id === null ? {} : { branch: branch_id }),
  };
  return event as unknown as StoredEvent<Types>;
}
