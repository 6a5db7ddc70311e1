/** A meter that keeps what it is told. */
import type { MetricMeter, MetricTags } from '@temporalio/common';
import { Runtime } from '@temporalio/worker';
import { onTestFinished, vi } from 'vitest';

export interface Told {
  readonly value: number;
  readonly tags: MetricTags;
}

export class RecordingMeter {
  readonly #told = new Map<string, Told[]>();

  /** All that was told of a metric, in its order. */
  told(name: string): readonly Told[] {
    return this.#told.get(name) ?? [];
  }

  /** What was told of it last. */
  last(name: string): number | undefined {
    return this.told(name).at(-1)?.value;
  }

  /** As the SDK takes it. */
  get meter(): MetricMeter {
    const keep =
      (name: string) =>
      (value: number, tags: MetricTags = {}): void =>
        void this.#told.set(name, [...this.told(name), { value, tags }]);
    const meter = {
      createCounter: (name: string) => ({ add: keep(name) }),
      createHistogram: (name: string) => ({ record: keep(name) }),
      createGauge: (name: string) => ({ set: keep(name) }),
    };
    return meter as unknown as MetricMeter; // Cast: nobody asks an instrument for more.
  }
}

/** Keeps the gauges that this process tells during the test. */
export function recordGauges(): RecordingMeter {
  const recorded = new RecordingMeter();
  const spy = vi
    .spyOn(Runtime.instance().metricMeter, 'createGauge')
    .mockImplementation((name, type) => recorded.meter.createGauge(name, type));
  onTestFinished(() => spy.mockRestore());
  return recorded;
}
