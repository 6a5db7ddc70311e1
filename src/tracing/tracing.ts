/**
 * Tracing by OpenTelemetry, through Temporal's own interceptors: one trace for a transaction, from whoever started it through coordinator,
 * participants and votes to the consumers of its events.
 */
import { join } from 'node:path';
import { trace } from '@opentelemetry/api';
import type { Tracer } from '@opentelemetry/api';
import type { ClientPlugin, WorkflowClientInterceptor, WorkflowClientInterceptors } from '@temporalio/client';
import type { OpenTelemetryPluginOptions } from '@temporalio/interceptors-opentelemetry';
import type { BundlerPlugin, ReplayWorkerOptions, WorkerPlugin } from '@temporalio/worker';
import { installTracing } from '../observability';
import { activityInterceptors } from './activity-spans';
import { ClientSpans } from './client-spans';
import { drawWith } from './drawing';
import { isEncrypted, TracerWithoutMessages } from './without-messages';
import { workflowSinks } from './workflow-exporter';

export interface TracingOptions {
  /** Where spans of workflows go: the one that the provider of this process has. OpenTelemetry SDK 1.x. */
  readonly spanProcessor: OpenTelemetryPluginOptions['spanProcessor'];
  /** What this process is, as the provider has it: `service.name` and the like. */
  readonly resource: OpenTelemetryPluginOptions['resource'];
}

/** For `plugins` of `connectTemporal`, of a worker's `temporal`, of the SDK's own clients and workers, and of `bundleWorkflowCode`. */
export type TracingPlugin = Required<Pick<ClientPlugin, 'name' | 'configureClient'>> &
  Required<Pick<WorkerPlugin, 'configureWorker' | 'configureReplayWorker'>> &
  Required<Pick<BundlerPlugin, 'configureBundler'>>;

/**
 * Traces what this process does. The process has registered a provider before; without one, nothing but the workflows draws spans, and they
 * are not connected.
 *
 * Where payloads are encrypted, spans tell the types of errors and not what they say.
 *
 * A bundle that was made before has to be made with it too, or workflows draw no spans.
 *
 * @example
 * const provider = new NodeTracerProvider({ resource, spanProcessors: [spanProcessor] });
 * provider.register();
 * const temporal = { plugins: [tracing({ spanProcessor, resource })] };
 * const worker = await runParticipant(accounts, { database, temporal });
 */
export function tracing(options: TracingOptions): TracingPlugin {
  installTracing(drawWith(trace.getTracer('temporal-txn')));
  const withSinks = <T extends Pick<ReplayWorkerOptions, 'dataConverter' | 'sinks'>>(given: T): T => ({
    ...given,
    sinks: { ...given.sinks, ...workflowSinks(options, isEncrypted(given)) },
  });
  return {
    name: 'temporal-txn/tracing',
    configureClient: (given) => ({
      ...given,
      interceptors: {
        ...given.interceptors,
        workflow: withClientSpans(tracerFor('client', given), given.interceptors?.workflow),
      },
    }),
    configureWorker: ({ interceptors, ...given }) => ({
      ...withSinks(given),
      interceptors: {
        ...interceptors,
        client: {
          ...interceptors?.client,
          workflow: withClientSpans(tracerFor('client', given), interceptors?.client?.workflow),
        },
        activity: [...(interceptors?.activity ?? []), activityInterceptors(tracerFor('activity', given))],
      },
    }),
    configureReplayWorker: withSinks,
    configureBundler: (given) => ({
      ...given,
      workflowInterceptorModules: [...(given.workflowInterceptorModules ?? []), INTERCEPTORS],
    }),
  };
}

// Without an extension, so that the bundler finds it among the sources too, where a test runner has loaded this file.
const INTERCEPTORS = join(__dirname, 'workflow-interceptors');

/** Under the name that Temporal's interceptors give theirs. */
function tracerFor(kind: 'client' | 'activity', given: Pick<ReplayWorkerOptions, 'dataConverter'>): Tracer {
  const tracer = trace.getTracer(`@temporalio/interceptor-${kind}`);
  return isEncrypted(given) ? new TracerWithoutMessages(tracer) : tracer;
}

/** Once, although the SDK asks again for a client that it makes of a worker. */
function withClientSpans(
  tracer: Tracer,
  given: WorkflowClientInterceptors | WorkflowClientInterceptor[] = [],
): WorkflowClientInterceptor[] {
  if (!Array.isArray(given))
    throw new TypeError(
      'Nothing was started: interceptors.workflow is an object with calls, which the SDK has deprecated. Use a list of interceptors.',
    );
  return given.some((interceptor) => interceptor instanceof ClientSpans)
    ? given
    : [...given, new ClientSpans({ tracer })];
}
