/** What a user sets up to trace a process, in the process of a test: spans stay in its memory. */
import { context, propagation, trace } from '@opentelemetry/api';
import { Resource } from '@opentelemetry/resources';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import type { Sampler } from '@opentelemetry/sdk-trace-node';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import type { WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { installTracing } from 'temporal-txn/observability';
import { tracing } from 'temporal-txn/tracing';
import type { TracingPlugin } from 'temporal-txn/tracing';
import { workflowBundleOptions } from 'temporal-txn/worker';
import { keep } from '../bundle';
import { compiledWorkflows } from '../saga-more/environment';
import { readSpan } from './spans';
import type { TracedSpan } from './spans';

export interface TracedHere {
  readonly plugins: readonly TracingPlugin[];
  spans(): readonly TracedSpan[];
  /** Runs something as a client that traces does: inside a span of its own. */
  asRequest<T>(work: () => Promise<T>): Promise<{ readonly trace: string; readonly span: string; readonly result: T }>;
  /** Takes away what this package draws with; the application's own spans go on. */
  withoutPackage<T>(work: () => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

/** @param sampler @default that of whoever began the trace */
export function traceHere(sampler?: Sampler): TracedHere {
  const exporter = new InMemorySpanExporter();
  const spanProcessor = new SimpleSpanProcessor(exporter);
  const resource = new Resource({ 'service.name': 'client' });
  const provider = new NodeTracerProvider({
    resource,
    spanProcessors: [spanProcessor],
    ...(sampler ? { sampler } : {}),
  });
  provider.register();
  const install = (): TracingPlugin => tracing({ spanProcessor, resource });
  return {
    plugins: [install()],
    spans: () => exporter.getFinishedSpans().map(readSpan),
    asRequest: (work) =>
      provider.getTracer('test').startActiveSpan('request', async (span) => {
        const { traceId, spanId } = span.spanContext();
        try {
          return { trace: traceId, span: spanId, result: await work() };
        } finally {
          span.end();
        }
      }),
    async withoutPackage(work) {
      installTracing(undefined);
      try {
        return await work();
      } finally {
        install();
      }
    },
    async stop() {
      installTracing(undefined);
      for (const api of [trace, context, propagation]) api.disable();
      await provider.shutdown();
    },
  };
}

/** The workflows of these tests, and those whose histories are recorded, in a bundle that traces. */
export const tracedBundle = (plugins: readonly TracingPlugin[]): Promise<WorkflowBundleWithSourceMap> =>
  keep('traced', () =>
    bundleWorkflowCode({
      workflowsPath: compiledWorkflows('tracing'),
      ...workflowBundleOptions(),
      plugins: [...plugins],
      logger: new DefaultLogger('ERROR'),
    }),
  );
