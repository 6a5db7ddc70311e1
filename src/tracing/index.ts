export { tracing } from './tracing';
export type { TracingOptions, TracingPlugin } from './tracing';
