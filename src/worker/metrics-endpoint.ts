/** Where Prometheus finds the metrics of a worker process: TXN_METRICS_ADDRESS, and nowhere when that is not set. */
import { isIP } from 'node:net';
import { Runtime } from '@temporalio/worker';
import { HISTOGRAM_BUCKETS } from '../observability';
import { show } from '../protocol';

/** TXN_METRICS_ADDRESS is not an address. */
export class InvalidMetricsAddress extends Error {
  override readonly name = 'InvalidMetricsAddress';

  constructor(readonly address: string) {
    super(
      `Nothing was started: TXN_METRICS_ADDRESS is ${show(address)}. Use a port, such as 9464, which is served on this machine only, ` +
        'or an address and a port, such as 0.0.0.0:9464 for everybody who can reach it.',
    );
  }
}

/** Nobody could ask for the metrics of this process: somebody else has its port, or its address is none of this machine. */
export class MetricsNotServed extends Error {
  override readonly name = 'MetricsNotServed';

  constructor(
    /** Where they were to be. */
    readonly address: string,
    /** What the operating system says. */
    readonly why: string,
    options?: ErrorOptions,
  ) {
    super(
      `Nothing was started: metrics cannot be served at ${show(address)}: ${why}. Give each process a port of its own with ` +
        'TXN_METRICS_ADDRESS, at an address of this machine.',
      options,
    );
  }
}

let served: string | undefined;

/**
 * Serves the metrics of this process, those of Temporal's SDK too, at `http://<TXN_METRICS_ADDRESS>/metrics`. Every worker of this
 * package does so at its start; in a process with several of them the first one counts.
 *
 * It installs the SDK's `Runtime`. A process that installs its own does so before, and configures its metrics there; then the
 * variable is not looked at but for a warning. `HISTOGRAM_BUCKETS` has the buckets.
 *
 * @throws {InvalidMetricsAddress} {MetricsNotServed}
 */
export function serveMetrics(address = process.env['TXN_METRICS_ADDRESS']): void {
  if (address === undefined || address === '' || address === served) return;
  const bindAddress = readAddress(address);
  try {
    Runtime.install({
      telemetryOptions: {
        metrics: {
          prometheus: { bindAddress, useSecondsForDurations: true, histogramBucketOverrides: { ...HISTOGRAM_BUCKETS } },
        },
      },
    });
    served = address;
  } catch (error) {
    const [, why] = /^Failed to start prometheus metrics exporter: (.*)/.exec((error as Error).message) ?? []; // Cast: the SDK's.
    if (why !== undefined) throw new MetricsNotServed(bindAddress, why, { cause: error });
    if (!(error instanceof Error && error.name === 'IllegalStateError')) throw error;
    Runtime.instance().logger.warn('TXN_METRICS_ADDRESS is ignored: this process has installed a runtime of its own');
  }
}

function readAddress(address: string): string {
  const [, host = '127.0.0.1', port = 0] = /^(?:(\[[0-9a-f:.]+\]|[\d.]+):)?(\d{1,5})$/i.exec(address) ?? [];
  if (Number(port) < 1 || Number(port) > 65_535 || !isIP(host.replace(/^\[|\]$/g, '')))
    throw new InvalidMetricsAddress(address);
  return `${host}:${port}`;
}
