/** Circuits as a metric. */
import { Runtime } from '@temporalio/worker';
import { METRICS } from '../observability';
import type { BreakerState } from '../resilience';

const VALUES: Readonly<Record<BreakerState, number>> = { closed: 0, 'half-open': 1, open: 2, isolated: 3 };

/** Tells how the circuit of a participant, or of something that it calls, stands. */
export function tellCircuit(participant: string, circuit: string, state: BreakerState): void {
  Runtime.instance()
    .metricMeter.createGauge(METRICS.circuitState, 'int')
    .set(VALUES[state], { participant_id: participant, circuit });
}
