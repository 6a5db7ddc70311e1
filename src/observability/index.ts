export { REQUEST_MEMO } from './memo';
export { METRICS } from './metrics';
export { SEARCH_ATTRIBUTES, searchAttributeList } from './search-attributes';
export type { SearchAttributeType, TxnStatus } from './search-attributes';
