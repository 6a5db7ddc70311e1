/** Gauges of this process. */
import { Runtime } from '@temporalio/worker';

export interface Gauge {
  readonly name: string;
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
}

export function tellGauge({ name, value, labels }: Gauge): void {
  Runtime.instance().metricMeter.createGauge(name, 'float').set(value, labels);
}

/**
 * Says that nobody here knows it any more. A series goes on with its last value for as long as its process runs; of this one alerts and
 * dashboards take no notice.
 */
export const takeBack = (gauge: Omit<Gauge, 'value'>): void => tellGauge({ ...gauge, value: NaN });
