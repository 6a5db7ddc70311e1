/** What the tests of probes and of failing fast run. */
export { settled } from '../saga/workflows';
export { settles } from '../two-phase-commit/workflows';
