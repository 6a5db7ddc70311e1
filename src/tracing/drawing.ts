/** Draws the spans of this package through the API of OpenTelemetry: in a process, and in the sandbox of a workflow. */
import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Context, Span, Tracer } from '@opentelemetry/api';
import { SPAN_ATTRIBUTES } from '../observability';
import type { SpanEnd, SpanRequest, TraceContext, Tracing } from '../observability';
import { errorTypeOf, isExpected } from './errors';
import { readTraceContext, writeTraceContext } from './trace-context';

const KINDS: Readonly<Record<NonNullable<SpanRequest['kind']>, SpanKind>> = {
  internal: SpanKind.INTERNAL,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

/**
 * A span is ended beside the work: whoever waits for that must not wait a moment longer, because in a workflow something else could come
 * first then.
 *
 * @param drawing around what makes a span; in a workflow its id must not be drawn from the numbers that the workflow draws from
 */
export const drawWith = (tracer: Tracer, drawing: (draw: () => Span) => Span = (draw) => draw()): Tracing => ({
  inSpan(request, work, endOf) {
    const parent = parentOf(request.continues);
    if (parent === undefined) return work();
    const { name, kind = 'internal', attributes = {} } = request;
    const span = drawing(() => tracer.startSpan(name, { kind: KINDS[kind], attributes: { ...attributes } }, parent));
    try {
      const result = context.with(trace.setSpan(parent, span), work);
      result.then(
        (value) => end(span, endOf?.(value)),
        (error: unknown) => fail(span, error),
      );
      return result;
    } catch (error) {
      fail(span, error);
      throw error;
    }
  },
  context: () => writeTraceContext(trace.getSpanContext(context.active())),
});

/** Where a span belongs. `undefined`: nowhere, and there is none. */
function parentOf(continues: TraceContext | undefined): Context | undefined {
  if (continues === undefined) return trace.getSpanContext(context.active()) ? context.active() : undefined;
  const span = readTraceContext(continues);
  return span ? trace.setSpanContext(ROOT_CONTEXT, span) : ROOT_CONTEXT;
}

function end(span: Span, told: SpanEnd | undefined): void {
  for (const name of ['outcome', 'reason', 'errorType'] as const) {
    const value = told?.[name];
    if (value !== undefined) span.setAttribute(SPAN_ATTRIBUTES[name], value);
  }
  if (told?.failed) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

function fail(span: Span, error: unknown): void {
  span.setAttribute(SPAN_ATTRIBUTES.errorType, errorTypeOf(error));
  if (!isExpected(error)) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
