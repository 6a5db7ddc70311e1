/** Circuits as a metric. */
import { METRICS } from '../observability';
import type { BreakerState, Circuit } from '../resilience';
import { takeBack, tellGauge } from './gauges';
import type { Gauge } from './gauges';

const VALUES: Readonly<Record<BreakerState, number>> = { closed: 0, 'half-open': 1, open: 2, isolated: 3 };

const gaugeOf = (participant: string, circuit: string): Omit<Gauge, 'value'> => ({
  name: METRICS.circuitState,
  labels: { participant_id: participant, circuit },
});

/** Tells how the circuit of a participant, or of something that it calls, stands. */
export const tellCircuit = (participant: string, circuit: string, state: BreakerState): void =>
  tellGauge({ ...gaugeOf(participant, circuit), value: VALUES[state] });

/** Says that nobody here uses it any more. */
export const takeBackCircuit = (participant: string, circuit: string): void => takeBack(gaugeOf(participant, circuit));

/** Tells how the circuits of a participant's worker stand. @returns what ends it, and takes back what was told */
export function keepTellingCircuits(participant: string, circuits: readonly Circuit[]): () => void {
  const deaf = circuits.map((circuit) => {
    const tell = (): void => tellCircuit(participant, circuit.name, circuit.report().state);
    tell();
    return circuit.onChange(tell);
  });
  return () => {
    for (const end of deaf) end();
    for (const { name } of circuits) takeBackCircuit(participant, name);
  };
}
