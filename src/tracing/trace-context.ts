/**
 * Spans as texts, to be kept with an event for as long as it takes. In the W3C format whatever propagator the process has: an event
 * is read by others.
 *
 * @see W3C Trace Context, level 1
 */
import { createTraceState, isSpanContextValid } from '@opentelemetry/api';
import type { SpanContext } from '@opentelemetry/api';
import type { TraceContext } from '../observability';

/** As much as everybody hands on. */
const MOST_TRACESTATE_CHARACTERS = 512;

/** Version 00; of a later one, the part that we know. */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

export function writeTraceContext(span: SpanContext | undefined): TraceContext {
  if (span === undefined || !isSpanContextValid(span)) return {};
  const flags = span.traceFlags.toString(16).padStart(2, '0');
  const tracestate = span.traceState?.serialize() ?? '';
  return {
    traceparent: `00-${span.traceId}-${span.spanId}-${flags}`,
    // Of vendors, and nothing that an event should fail for.
    ...(tracestate !== '' && tracestate.length <= MOST_TRACESTATE_CHARACTERS ? { tracestate } : {}),
  };
}

/** What came over the wire is data: what is no trace context is none. */
export function readTraceContext({ traceparent, tracestate }: TraceContext): SpanContext | undefined {
  const [, version, traceId = '', spanId = '', flags = '', rest] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  if (version === '00' && rest !== undefined) return undefined;
  const span: SpanContext = {
    traceId,
    spanId,
    traceFlags: parseInt(flags, 16),
    isRemote: true,
    ...(typeof tracestate === 'string' ? { traceState: createTraceState(tracestate) } : {}),
  };
  return isSpanContextValid(span) ? span : undefined;
}
