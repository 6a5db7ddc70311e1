/**
 * Spans that tell the type of an error and not what it says. For deployments that encrypt: what they keep from Temporal is none of the
 * business of whoever collects their spans. Temporal's interceptors tell messages and stack traces as they are.
 */
import { context, trace } from '@opentelemetry/api';
import type { Context, Exception, Span, SpanOptions, SpanStatus, TimeInput, Tracer } from '@opentelemetry/api';
import type { DataConverter } from '@temporalio/common';
import type { SerializableSpan } from '@temporalio/interceptors-opentelemetry';
import { errorTypeOf } from './errors';

/** Whether what a client or a worker sends is encrypted. */
export const isEncrypted = ({ dataConverter }: { readonly dataConverter?: DataConverter }): boolean =>
  (dataConverter?.payloadCodecs ?? []).length > 0;

/** The same tracer, for an interceptor. */
export class TracerWithoutMessages implements Tracer {
  constructor(private readonly tracer: Tracer) {}

  startSpan(name: string, options?: SpanOptions, parent?: Context): Span {
    return withoutMessages(this.tracer.startSpan(name, options, parent));
  }

  startActiveSpan<Work extends (span: Span) => unknown>(
    name: string,
    ...given: readonly [Work] | readonly [SpanOptions, Work] | readonly [SpanOptions, Context, Work]
  ): ReturnType<Work> {
    const work = given.at(-1) as Work; // Cast: the last one always is.
    const [options, parent = context.active()] = given.slice(0, -1) as [SpanOptions?, Context?]; // Cast: those before it.
    const span = this.startSpan(name, options, parent);
    return context.with(trace.setSpan(parent, span), () => work(span)) as ReturnType<Work>; // Cast: it is.
  }
}

/** Changed in its place: what processes it once it has ended wants the very one. */
function withoutMessages(span: Span): Span {
  const setStatus = span.setStatus.bind(span);
  const recordException = span.recordException.bind(span);
  return Object.assign(span, {
    setStatus: ({ code }: SpanStatus) => setStatus({ code }),
    recordException: (exception: Exception, time?: TimeInput) =>
      recordException({ name: errorTypeOf(exception) }, time),
  });
}

/** The same span of a workflow. */
export const serializedWithoutMessages = (span: SerializableSpan): SerializableSpan => ({
  ...span,
  status: { code: span.status.code },
  events: span.events.map(({ attributes, ...event }) => ({
    ...event,
    ...(attributes ? { attributes: omitted(attributes) } : {}),
  })),
});

/** As OpenTelemetry calls what an exception says. */
const SAID = ['exception.message', 'exception.stacktrace'];

const omitted = <T extends object>(attributes: T): T =>
  Object.fromEntries(Object.entries(attributes).filter(([name]) => !SAID.includes(name))) as T; // Cast: all are optional.
