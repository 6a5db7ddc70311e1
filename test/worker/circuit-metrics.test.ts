/** What a participant's worker tells of its circuits. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { METRICS } from '../../src/observability';
import { circuit } from '../../src/participant';
import type { Circuit } from '../../src/participant';
import { keepTellingCircuits } from '../../src/worker/circuit-metrics';
import { recordGauges } from '../recording-meter';

const down = async (): Promise<never> => {
  throw new Error('503');
};
const fail = (broken: Circuit): Promise<unknown> => broken.run(down).catch(() => undefined);

describe('the gauge of a circuit', () => {
  it('follows it from the start to the end of the worker, though nobody calls, and says nothing afterwards', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const recorded = recordGauges();
    const gateway = circuit('gateway', { trip: { consecutive: 1 }, halfOpenAfterMs: 1_000, jitter: 0 });
    await fail(gateway);
    const stop = keepTellingCircuits('payments', [gateway]);
    vi.advanceTimersByTime(1_000);
    await fail(gateway);
    stop();
    vi.advanceTimersByTime(10_000);
    const labels = { participant_id: 'payments', circuit: 'gateway' };
    expect(recorded.told(METRICS.circuitState)).toEqual([2, 1, 2, NaN].map((value) => ({ value, tags: labels })));
  });
});
