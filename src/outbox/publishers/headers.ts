/** The headers that an event brings along, for transports that have headers. */
import { traceContext } from '../../observability';
import { show } from '../../protocol';
import { UnpublishableEventError } from '../errors';
import type { OutboxEvent } from '../event';

/** What a header may be called, and what it may hold, on one transport. */
export interface HeaderRules {
  /** Names, in lower case, that the transport or the publisher gives a meaning: an event may not set them. */
  readonly reserved: RegExp;
  /** Values that can be sent as they are. */
  readonly sendable: RegExp;
}

const NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/**
 * The event's own headers, and its trace context: of the span that publishes it, where one is drawn, and not of where the event began.
 * That is in the CloudEvent (CloudEvents, distributed tracing extension).
 *
 * @throws {UnpublishableEventError} when one cannot be sent: consumers would miss it, or somebody could control the broker by it
 */
export function headersOf(event: OutboxEvent, { reserved, sendable }: HeaderRules): Record<string, string> {
  const { headers } = event;
  const publishing = traceContext();
  const { traceparent, tracestate } = publishing.traceparent ? publishing : event;
  const all = { ...headers, ...(traceparent && { traceparent }), ...(tracestate && { tracestate }) };
  for (const [name, value] of Object.entries(all)) {
    if (!NAME.test(name)) throw new UnpublishableEventError(`its header ${show(name)} has no valid name`);
    if (reserved.test(name.toLowerCase()))
      throw new UnpublishableEventError(`its header ${name} is not its own to set`);
    if (typeof value !== 'string' || !sendable.test(value))
      throw new UnpublishableEventError(`its header ${name} is ${show(value)}, which cannot be sent`);
  }
  return all;
}
