export type { HealthOptions } from './health-server';
export { runCoordinator } from './run-coordinator';
export type { RunCoordinatorOptions } from './run-coordinator';
export { runParticipant } from './run-participant';
export type { RunParticipantOptions } from './run-participant';
export type { RunningWorker } from './running-worker';
