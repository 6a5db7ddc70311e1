/** What the workers of a test process tell the metrics, kept where the test can look at it. */
import { DefaultLogger, IllegalStateError, MetricsBuffer, Runtime } from '@temporalio/worker';
import type { RuntimeOptions } from '@temporalio/worker';

interface Told {
  /** How often. */
  readonly times: number;
  /** Of all values. */
  readonly sum: number;
}

export class BufferedMetrics {
  readonly #buffer = new MetricsBuffer({ maxBufferSize: 100_000 });
  readonly #told = new Map<string, Told>();
  #draining: NodeJS.Timeout | undefined;

  /** Before any worker is there. There is one runtime in a process, and that of a file before this one may be there still. */
  async install(): Promise<void> {
    const options: RuntimeOptions = {
      logger: new DefaultLogger('ERROR'),
      telemetryOptions: { metrics: { buffer: this.#buffer }, logging: { filter: 'ERROR', forward: {} } },
    };
    try {
      Runtime.install(options);
    } catch (error) {
      if (!(error instanceof IllegalStateError)) throw error;
      await Runtime.instance().shutdown();
      Runtime.install(options);
    }
  }

  /** Collects from now on: the buffer keeps so much only, and everything that the SDK tells is in there too. */
  start(): void {
    this.#draining = setInterval(() => this.#drain(), 200);
  }

  stop(): void {
    clearInterval(this.#draining);
  }

  /** What was told of a metric since the file began, by one label or in all. */
  told(metric: string, label: Readonly<Record<string, string>> = {}): Told {
    this.#drain();
    let all: Told = { times: 0, sum: 0 };
    for (const [key, { times, sum }] of this.#told) {
      const [name, attributes] = JSON.parse(key) as [string, Record<string, string>]; // Cast: written below.
      const fits = Object.entries(label).every(([field, value]) => attributes[field] === value);
      if (name === metric && fits) all = { times: all.times + times, sum: all.sum + sum };
    }
    return all;
  }

  #drain(): void {
    for (const { metric, value, attributes } of this.#buffer.retrieveUpdates()) {
      if (!metric.name.startsWith('txn_')) continue;
      const key = JSON.stringify([metric.name, attributes]);
      const { times, sum } = this.#told.get(key) ?? { times: 0, sum: 0 };
      this.#told.set(key, { times: times + 1, sum: sum + value });
    }
  }
}
