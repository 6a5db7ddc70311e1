/**
 * Where spans are drawn. Rooms say what they do; whoever traces has installed what draws it, as temporal-txn/tracing does. For
 * everybody else a span is a look at an empty slot, and no package for tracing is needed.
 *
 * A span holds ids, names and outcomes, never what was sent or returned; and of an error its kind, never its message, which may
 * quote a row.
 */

import type { BranchOutcome } from './branch-outcome';

/** W3C trace context as text; empty where there is none. */
export interface TraceContext {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

export type SpanAttributes = Readonly<Record<string, string>>;

/** What a span says of some work before it begins. */
export interface SpanRequest {
  readonly name: string;
  /** @default internal */
  readonly kind?: 'internal' | 'client' | 'producer' | 'consumer';
  readonly attributes?: SpanAttributes;
  /**
   * Goes on with the trace of an event, or begins one where it has none. Without it a span is drawn inside another one only: what
   * nobody traces draws none.
   */
  readonly continues?: TraceContext;
}

/** What a span says when the work is done. */
export interface SpanEnd extends BranchOutcome {
  /** Of the failure that was told, where nothing was thrown. */
  readonly errorType?: string;
  /** Whether somebody should look, although nothing was thrown. */
  readonly failed?: boolean;
}

/** What draws. */
export interface Tracing {
  inSpan<T>(request: SpanRequest, work: () => Promise<T>, endOf?: (result: T) => SpanEnd): Promise<T>;
  /** Of the span that is active now. */
  context(): TraceContext;
}

// As with crash points: one slot, also where a process has loaded this package twice.
const slot = globalThis as { [key: symbol]: Tracing | undefined };
const TRACING = Symbol.for('temporal-txn.tracing');

/** Does some work inside a span, if anybody draws it. */
export function inSpan<T>(request: SpanRequest, work: () => Promise<T>, endOf?: (result: T) => SpanEnd): Promise<T> {
  const tracing = slot[TRACING];
  return tracing ? tracing.inSpan(request, work, endOf) : work();
}

/** Whether anybody draws. */
export const isTraced = (): boolean => slot[TRACING] !== undefined;

/** The trace that what is done now belongs to, to be handed on. */
export const traceContext = (): TraceContext => slot[TRACING]?.context() ?? {};

/** The same, for what one process asks of another by other means than Temporal's headers; nothing where nobody traces. */
export function carriedTrace(): { readonly trace?: TraceContext } {
  const trace = traceContext();
  return trace.traceparent === undefined ? {} : { trace };
}

/** Has a span go on with what was carried. What came over the wire is data, and where it is no trace, the span is drawn inside another one. */
export function continuing(carried: unknown): Pick<SpanRequest, 'continues'> {
  const { traceparent, tracestate } = (carried ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof traceparent !== 'string') return {};
  return { continues: { traceparent, ...(typeof tracestate === 'string' ? { tracestate } : {}) } };
}

/** Installs what draws spans in this process, or in this workflow; or takes it away. */
export function installTracing(tracing: Tracing | undefined): void {
  slot[TRACING] = tracing;
}
