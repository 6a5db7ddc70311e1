/** What collects spans from processes, by OTLP over HTTP in JSON, as exporters of OpenTelemetry send it: a Jaeger with nothing but a memory. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SpanStatusCode } from '@opentelemetry/api';
import { SPAN_KINDS, STATUS_CODES } from './spans';
import type { TracedSpan } from './spans';

export interface Collector {
  readonly url: string;
  readonly spans: readonly TracedSpan[];
  stop(): Promise<void>;
}

export async function startCollector(): Promise<Collector> {
  const spans: TracedSpan[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      if (request.url !== '/v1/traces') return void response.writeHead(404).end();
      spans.push(...read(JSON.parse(Buffer.concat(parts).toString()) as Export));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // Cast: it listens on TCP.
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    stop: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** As far as it is looked at. */
interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly Sent[] }[];
  }[];
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string };
}

interface Sent {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly Attribute[];
  readonly status: { readonly code: SpanStatusCode };
}

const read = ({ resourceSpans }: Export): TracedSpan[] =>
  resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans
      .flatMap(({ spans }) => spans)
      .map((span) => ({
        name: span.name,
        service: valuesOf(resource.attributes)['service.name'] ?? '',
        trace: span.traceId,
        id: span.spanId,
        parent: span.parentSpanId,
        // OTLP counts from one: nought is a kind that nobody has given.
        kind: SPAN_KINDS[span.kind - 1],
        status: STATUS_CODES[span.status.code],
        attributes: valuesOf(span.attributes),
        text: JSON.stringify(span),
      })),
  );

const valuesOf = (attributes: readonly Attribute[]): Record<string, string> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? JSON.stringify(value)]));
