/**
 * Opens a circuit by the share of calls that failed in a window of time. For cockatiel's breaker in place of its own
 * `SamplingBreaker`, whose window is as long as the last calls took to come: where few come, failures of an hour ago open it.
 */
import { CircuitState } from 'cockatiel';
import type { IBreaker } from 'cockatiel';

interface Slice {
  readonly startsAt: number;
  failures: number;
  calls: number;
}

/** A window moves on by a tenth of itself. */
const SLICES = 10;

export class ShareOfFailures implements IBreaker {
  #slices: Slice[] = [];

  constructor(
    private readonly trip: {
      readonly threshold: number;
      readonly windowMs: number;
      readonly minimumPerSecond: number;
    },
  ) {}

  /** cockatiel would hand it to another process, which nobody here does. */
  readonly state = undefined;

  success(state: CircuitState): void {
    if (state === CircuitState.HalfOpen) this.#slices = [];
    this.#count(0);
  }

  failure(state: CircuitState): boolean {
    this.#count(1);
    if (state !== CircuitState.Closed) return true;
    const { threshold, windowMs, minimumPerSecond } = this.trip;
    const calls = this.#slices.reduce((sum, slice) => sum + slice.calls, 0);
    const failures = this.#slices.reduce((sum, slice) => sum + slice.failures, 0);
    return calls >= (minimumPerSecond * windowMs) / 1_000 && failures > threshold * calls;
  }

  #count(failures: 0 | 1): void {
    const { windowMs } = this.trip;
    const now = performance.now();
    const startsAt = now - (now % (windowMs / SLICES));
    this.#slices = this.#slices.filter((slice) => slice.startsAt > startsAt - windowMs);
    let slice = this.#slices.at(-1);
    if (slice?.startsAt !== startsAt) this.#slices.push((slice = { startsAt, failures: 0, calls: 0 }));
    slice.calls++;
    slice.failures += failures;
  }
}
