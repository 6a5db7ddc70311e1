export { GROUP_MEMO, REQUEST_MEMO } from './memo';
export { HISTOGRAM_BUCKETS, METRIC_TABLE, METRICS } from './metrics';
export type { Metric } from './metrics';
export { SEARCH_ATTRIBUTES, searchAttributeList } from './search-attributes';
export type { SearchAttributeType, TxnStatus } from './search-attributes';
export { SPAN_ATTRIBUTES, SPANS } from './spans';
export { inSpan, installTracing, traceContext } from './tracing';
export type { SpanAttributes, SpanEnd, SpanRequest, TraceContext, Tracing } from './tracing';
