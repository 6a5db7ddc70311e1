/** What the embedded stack offers, name by name. */
export { untilInterrupted } from './interrupt';
export { MailServer } from './mail';
export type { MailMessage, MailServerOptions } from './mail';
export { isHealthy, ServiceProcess } from './service-process';
export type { ServiceProcessOptions } from './service-process';
export { startStack } from './stack';
export type { PostgresName, Stack, StackOptions } from './stack';
export { forgetUserSettings } from './user-settings';
