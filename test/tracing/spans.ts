/** Finished spans as the tests look at them, and the tree that they make. */
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node';

export interface TracedSpan {
  readonly name: string;
  readonly service: string;
  readonly trace: string;
  readonly id: string;
  readonly parent: string | undefined;
  readonly kind: (typeof SPAN_KINDS)[number] | undefined;
  readonly status: (typeof STATUS_CODES)[number];
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Everything that it holds, to look for what it must not hold. */
  readonly text: string;
}

/** By their numbers. */
export const SPAN_KINDS = ['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'] as const;
export const STATUS_CODES = ['UNSET', 'OK', 'ERROR'] as const;

export function readSpan(span: ReadableSpan): TracedSpan {
  const { name, attributes, parentSpanId, kind, status, events, links } = span;
  const { traceId, spanId } = span.spanContext();
  return {
    name,
    service: String(span.resource.attributes['service.name']),
    trace: traceId,
    id: spanId,
    parent: parentSpanId,
    kind: SPAN_KINDS[kind],
    status: STATUS_CODES[status.code],
    attributes,
    text: JSON.stringify({ name, attributes, status, events, links }),
  };
}

/** The spans of a trace, each below its parent and beside the others in the order of their names. */
export function treeOf(spans: readonly TracedSpan[]): string {
  const lines = (parent: string | undefined, depth: number): string[] =>
    spans
      .filter((span) => span.parent === parent)
      .map((span) => [`${'  '.repeat(depth)}${span.name} (${span.service})`, ...lines(span.id, depth + 1)])
      .sort(([a = ''], [b = '']) => (a < b ? -1 : a > b ? 1 : 0))
      .flat();
  return lines(undefined, 0).join('\n');
}
