export type { BreakerState } from './breaker';
export { Circuit, circuit } from './circuit';
export type { CircuitListener, CircuitReport } from './circuit';
export { CircuitOpen } from './circuit-open';
export { InvalidCircuit } from './options';
export type { CircuitOptions, Trip } from './options';
