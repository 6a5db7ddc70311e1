/** The errors of the outbox, the inbox and the event store. Each says first whether anything was changed. */
import { show } from '../protocol';

/** An event, or a field of one, cannot be appended. Thrown before anything is sent. */
export class InvalidEventError extends Error {
  override readonly name = 'InvalidEventError';

  constructor(
    readonly field: string,
    what: string,
    readonly allowed: string,
  ) {
    super(`Nothing was appended: ${field} ${what}. Use ${allowed}.`);
  }
}

/**
 * For publishers to throw: this event can never be published, whatever is tried. Its key is parked at once.
 *
 * @example throw new UnpublishableEventError('no workflow is registered for its type');
 */
export class UnpublishableEventError extends Error {
  override readonly name = 'UnpublishableEventError';

  constructor(readonly why: string) {
    super(`Nothing was published: ${why}.`);
  }
}

/**
 * For publishers to throw when their time is over: the event is under way, nothing is wrong with it, and it is to be given to them
 * again until it is published. It counts as no attempt, so its key is never parked for it.
 *
 * @example throw new NotYetPublishedError('the file is still being copied');
 */
export class NotYetPublishedError extends Error {
  override readonly name = 'NotYetPublishedError';

  constructor(readonly why: string) {
    super(`It is not published yet: ${why}.`);
  }
}

/** Another relay has taken over the partitions. What this one published is published; it stops. */
export class RelayReplacedError extends Error {
  override readonly name = 'RelayReplacedError';

  constructor(readonly partitions: readonly number[]) {
    super(`Nothing was changed: another relay owns partitions ${partitions.join(', ')} now, and this one stops.`);
  }
}

/** There is no dead letter of the key, or it is another event than the one that was meant. */
export class NoSuchDeadLetterError extends Error {
  override readonly name = 'NoSuchDeadLetterError';

  constructor(
    readonly key: string,
    readonly version: number,
  ) {
    super(
      `Nothing was changed: no key ${JSON.stringify(key)} is parked at version ${version}. It may have been mended meanwhile: look again with deadLetters().`,
    );
  }
}

/** The event of a dead letter is published: a relay of an earlier version, which was slow, had it under way. */
export class DeadLetterPublishedError extends Error {
  override readonly name = 'DeadLetterPublishedError';

  constructor(
    readonly key: string,
    readonly version: number,
  ) {
    super(
      `Nothing was changed: version ${version} of key ${JSON.stringify(key)} was published already, so no other data of it would be. ` +
        'Leave it out with skipDeadLetter(): what is parked behind it is published then.',
    );
  }
}

/** A message came again with another content. */
export class MessageMismatchError extends Error {
  override readonly name = 'MessageMismatchError';

  constructor(
    readonly consumer: string,
    readonly messageId: string,
  ) {
    super(
      `Nothing was changed: ${consumer} has received message ${show(messageId)} with another content. ` +
        'An id names one message: the sender has to use a new one for a new message.',
    );
  }
}

/** Another delivery of the message is being handled, and did not end within the lock timeout. Deliver it again. */
export class MessageInProgressError extends Error {
  override readonly name = 'MessageInProgressError';

  constructor(
    readonly consumer: string,
    readonly messageId: string,
  ) {
    super(
      `Nothing was changed: another delivery of message ${show(messageId)} is being handled by ${consumer}, or its transaction is ` +
        'in doubt. Deliver it again later.',
    );
  }
}

/** The stream does not have the version that the append expects: somebody else has appended. Load it again and decide anew. */
export class WrongExpectedVersionError extends Error {
  override readonly name = 'WrongExpectedVersionError';

  constructor(
    readonly stream: string,
    readonly expected: number,
    /** 0 when there is no such stream. */
    readonly actual: number,
  ) {
    super(
      `Nothing was appended: stream ${show(stream)} has version ${actual}, not ${expected}. Load it and decide again.`,
    );
  }
}

/** What the ids of events to append were found for, where it is not the same events. */
export type EventIdConflict = 'another stream' | 'another content' | 'another list';

/** Ids of events to append are in use, and not for these events: then it would have been a repeated append. */
export class EventIdInUseError extends Error {
  override readonly name = 'EventIdInUseError';

  constructor(
    readonly stream: string,
    readonly conflict: EventIdConflict,
    /** Where events with these ids are. */
    readonly found: readonly { readonly id: string; readonly stream: string; readonly version: number }[],
  ) {
    const places = found.slice(0, 3).map((event) => `${show(event.id)} at ${show(event.stream)}/${event.version}`);
    const more = found.length > 3 ? ` and ${found.length - 3} more` : '';
    super(
      `Nothing was appended to ${show(stream)}: ids are in use for ${conflict} (${places.join(', ') || 'just now'}${more}). ` +
        'An append that is repeated has the same events in the same order; new events need new ids.',
    );
  }
}

/** A position lies behind all that there are: it is of another database, or of a time that a backup knows nothing of. */
export class PositionAheadError extends Error {
  override readonly name = 'PositionAheadError';

  constructor(
    readonly after: number,
    /** The last position that was given. */
    readonly last: number,
  ) {
    super(
      `Nothing was read: after is ${after}, and the last position that this database has given is ${last}. It comes from another ` +
        'database, or this one was restored from a backup: events would be skipped without a word. Begin where you know what you have.',
    );
  }
}

/** A stored event cannot be read by this code. */
export class UnreadableEventError extends Error {
  override readonly name = 'UnreadableEventError';

  constructor(
    readonly stream: string,
    readonly version: number,
    readonly eventId: string,
    readonly eventType: string,
    why: string,
    options?: ErrorOptions,
  ) {
    super(
      `Nothing was changed: event ${show(eventId)}, ${show(eventType)} at ${show(stream)}/${version}, cannot be read: ${why}.`,
      options,
    );
  }
}

/** A state cannot be stored as it is. */
export class InvalidSnapshotError extends Error {
  override readonly name = 'InvalidSnapshotError';

  constructor(
    readonly stream: string,
    readonly code: string,
  ) {
    super(
      `Nothing was stored: what the snapshots ${show(code)} would store for ${show(stream)} is another value when it is read again. ` +
        'Give them `write` and `read`, which turn the state into what JSON can hold and back.',
    );
  }
}
