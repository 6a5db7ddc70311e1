export type { Accepted } from './audit/accepted';
export { auditDatabases } from './audit/audit';
export type { AuditOptions, AuditReport } from './audit/audit';
export type { Finding } from './audit/judge-decision';
export type { Counts } from './audit/look';
export type { Database, Unreachable } from './databases';
