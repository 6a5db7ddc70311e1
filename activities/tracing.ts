/**
 * Tracing for the worker processes of the example: on where OTEL_EXPORTER_OTLP_ENDPOINT says who collects the spans, as in
 * docker-compose.yml. A process that does not trace loads nothing for it.
 */
import type { TracingPlugin } from 'temporal-txn/tracing';

interface Traced {
  /** For what connects to Temporal. */
  readonly temporal: { readonly plugins?: readonly TracingPlugin[] };
  /** Sends what is not sent yet. */
  stop(): Promise<void>;
}

/** @param service what this process is called in a trace, unless OTEL_SERVICE_NAME says otherwise */
export async function startTracing(service: string): Promise<Traced> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SERVICE_NAME: name = service } = process.env;
  if (endpoint === undefined || endpoint === '') return { temporal: {}, stop: async () => undefined };
  const [{ Resource }, { BatchSpanProcessor, NodeTracerProvider }, { OTLPTraceExporter }, { tracing }] =
    await Promise.all([
      import('@opentelemetry/resources'),
      import('@opentelemetry/sdk-trace-node'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('temporal-txn/tracing'),
    ]);
  const resource = new Resource({ 'service.name': name });
  const spanProcessor = new BatchSpanProcessor(new OTLPTraceExporter());
  const provider = new NodeTracerProvider({ resource, spanProcessors: [spanProcessor] });
  provider.register();
  return {
    temporal: { plugins: [tracing({ spanProcessor, resource })] },
    // A collector that is away must not keep the process.
    stop: () => provider.shutdown().catch((error: unknown) => console.error('Spans were lost.', error)),
  };
}
