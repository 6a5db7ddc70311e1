export { REQUEST_MEMO } from './memo';
export { HISTOGRAM_BUCKETS, METRIC_TABLE, METRICS } from './metrics';
export type { Metric } from './metrics';
export { SEARCH_ATTRIBUTES, searchAttributeList } from './search-attributes';
export type { SearchAttributeType, TxnStatus } from './search-attributes';
