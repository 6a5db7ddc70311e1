/** Gauges that somebody has to look for, again and again. */
import { Runtime } from '@temporalio/worker';
import { takeBack, tellGauge } from './gauges';
import type { Gauge } from './gauges';

export interface Pace {
  readonly everyMs: number;
  /** What was seen longer ago is not known any more. */
  readonly forgottenAfterMs: number;
}

export interface Telling {
  /** What is looked at, for the log. */
  readonly of: string;
  readonly pace: Pace;
  readonly look: () => Promise<readonly Gauge[]>;
  /** Told, beside what is seen, for how long nothing has been. */
  readonly unseen?: Omit<Gauge, 'value'>;
}

/** Tells what is seen. @returns what ends it, and takes back what was told */
export function keepTelling(telling: Telling): () => Promise<void> {
  const teller = new Teller(telling);
  teller.look();
  const timer = setInterval(() => teller.look(), telling.pace.everyMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await teller.end();
  };
}

class Teller {
  /** As `performance.now()` counts. */
  #seenAt = performance.now();
  #told: readonly Gauge[] = [];
  #round: Promise<void> | undefined;

  constructor(private readonly telling: Telling) {}

  look(): void {
    // A look that takes long is none yet.
    if (this.#round) return this.#judge();
    this.#round = this.#see().finally(() => {
      this.#round = undefined;
      this.#judge();
    });
  }

  async end(): Promise<void> {
    await this.#round;
    this.#forget();
    if (this.telling.unseen) takeBack(this.telling.unseen);
  }

  async #see(): Promise<void> {
    try {
      const seen = await this.telling.look();
      this.#seenAt = performance.now();
      seen.forEach(tellGauge);
      this.#told = seen;
    } catch (error) {
      const { of } = this.telling;
      Runtime.instance().logger.warn('What metrics tell could not be read', { of, error: String(error) });
    }
  }

  #judge(): void {
    const { pace, unseen } = this.telling;
    const unseenMs = performance.now() - this.#seenAt;
    if (unseen) tellGauge({ ...unseen, value: unseenMs / 1_000 });
    if (unseenMs > pace.forgottenAfterMs) this.#forget();
  }

  #forget(): void {
    this.#told.forEach(takeBack);
    this.#told = [];
  }
}
