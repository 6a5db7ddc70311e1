/**
 * Hands the spans of workflows to the processor of this process, as Temporal's sink does, and each once. Of the workflow they are told
 * which one it is, and not all that is known of it: memo and last result are data. And what the protocols are made for is no error.
 */
import { SpanStatusCode } from '@opentelemetry/api';
import { makeWorkflowExporter } from '@temporalio/interceptors-opentelemetry';
import type {
  OpenTelemetryPluginOptions,
  OpenTelemetrySinks,
  SerializableSpan,
} from '@temporalio/interceptors-opentelemetry';
import type { InjectedSinks } from '@temporalio/worker';
import type { WorkflowInfo } from '@temporalio/workflow';
import { isOutcomeOfProtocol } from './branch-attributes';
import { serializedWithoutMessages } from './without-messages';

/** @param isSilent whether they are told the types of errors only */
export function workflowSinks(
  { spanProcessor, resource }: Pick<OpenTelemetryPluginOptions, 'spanProcessor' | 'resource'>,
  isSilent: boolean,
): InjectedSinks<OpenTelemetrySinks> {
  const exporter = makeWorkflowExporter(spanProcessor, resource).export;
  const isNew = firstTime();
  const told = (span: SerializableSpan): SerializableSpan =>
    isSilent ? serializedWithoutMessages(withStatus(span)) : withStatus(span);
  return {
    exporter: {
      export: { ...exporter, fn: (info, spans) => exporter.fn(toldOf(info), spans.filter(isNew).map(told)) },
    },
  };
}

/** Each for moments only: until the task is done again. */
const MOST_REMEMBERED = 10_000;

/**
 * A workflow task that the server did not take, because a signal came meanwhile, is done again: that is no replay, and draws its spans
 * again, under the same ids.
 */
function firstTime(): (span: SerializableSpan) => boolean {
  const exported = new Set<string>();
  return ({ spanContext: { traceId, spanId } }) => {
    const id = `${traceId}-${spanId}`;
    if (exported.has(id)) return false;
    exported.add(id);
    const [oldest = id] = exported;
    if (exported.size > MOST_REMEMBERED) exported.delete(oldest);
    return true;
  };
}

/** Temporal's interceptors take every activity that failed for an error. */
const withStatus = (span: SerializableSpan): SerializableSpan =>
  span.status.code === SpanStatusCode.ERROR && isOutcomeOfProtocol(span.attributes)
    ? { ...span, status: { code: SpanStatusCode.UNSET } }
    : span;

/** By the names that the spans of activities have. */
const toldOf = ({ workflowId, runId, workflowType, namespace, taskQueue }: WorkflowInfo): WorkflowInfo => {
  const told = { temporalWorkflowId: workflowId, run_id: runId, workflowType, namespace, taskQueue };
  // Cast: its fields become attributes, whatever they are.
  return told as unknown as WorkflowInfo;
};
