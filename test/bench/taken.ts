/** A machine that a run of the benchmark may have been taken on. */
import type { Taken } from '../../bench/throughput/machine';

export const taken: Taken = {
  on: '2026-01-01',
  machine: 'a processor',
  processors: 2,
  memoryGiB: 8,
  system: 'Linux 6',
  load: 0.25,
  node: '20.20.0',
  postgres: '18.4',
  temporal: '1.30.0',
  temporalSdk: '1.24.0',
};
