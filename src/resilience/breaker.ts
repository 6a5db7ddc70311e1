/**
 * One circuit breaker, on cockatiel's. It adds what a transaction needs: the answer "not attempted" says when to come back;
 * while one call tries a half-open circuit the others are not kept waiting, because they may hold locks; a call that was
 * begun before the circuit last changed says nothing about it any more (Polly#223); and it is half-open from the end of its pause on,
 * though nobody calls.
 *
 * @see Nygard: "Release It!", 2nd edition, 2018, chapter 5
 */
import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleWhen } from 'cockatiel';
import type { CircuitBreakerPolicy, IBackoff, IBackoffFactory, IBreaker } from 'cockatiel';
import { CircuitOpen } from './circuit-open';
import type { CircuitSettings, Trip } from './options';
import { ShareOfFailures } from './share-of-failures';

export type BreakerState = 'closed' | 'open' | 'half-open' | 'isolated';

const WORDS: Readonly<Record<CircuitState, BreakerState>> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Isolated]: 'isolated',
};

/** While another call tries the circuit, and while an operator isolates it: nobody knows how long that takes. */
const LOOK_AGAIN_MS = { 'half-open': 1_000, isolated: 5_000 } as const;

/** Carries the end of a call past cockatiel, which must not judge it. */
class Unjudged extends Error {
  constructor(readonly end: { readonly value: unknown } | { readonly error: unknown }) {
    super();
  }
}

export class Breaker {
  readonly #policy: CircuitBreakerPolicy;
  /** Counts the changes of state. */
  #age = 0;
  #pause: Pause = { overAt: 0, halfOpenAt: 0 };
  /** For the end of the pause, of which only time tells. */
  #timer: NodeJS.Timeout | undefined;
  #told: BreakerState = 'closed';

  constructor(
    private readonly circuit: string,
    private readonly settings: CircuitSettings,
    private readonly onChange: (state: BreakerState) => void,
  ) {
    const breaker = breakerOf(settings.trip);
    this.#policy = circuitBreaker(
      handleWhen((error) => !(error instanceof Unjudged)),
      {
        halfOpenAfter: new Pauses(settings, (pause) => (this.#pause = pause)),
        breaker,
      },
    );
    // Also where a refusal closes it, of which cockatiel says nothing to what counts.
    this.#policy.onReset(() => breaker.success(CircuitState.HalfOpen));
    this.#policy.onStateChange(() => {
      this.#age++;
      this.#tell();
    });
  }

  /** Half-open: the next call tries it, or one does so now. */
  get state(): BreakerState {
    const state = WORDS[this.#policy.state];
    return state === 'open' && this.#leftMs <= 0 ? 'half-open' : state;
  }

  /** When an open circuit may be tried again, as `Date.now()` counts. */
  get halfOpenAt(): number | undefined {
    return this.state === 'open' ? this.#pause.halfOpenAt : undefined;
  }

  /** @throws {CircuitOpen} when the call is not made */
  admit(): void {
    const state = WORDS[this.#policy.state];
    if (state === 'half-open' || state === 'isolated') throw new CircuitOpen(this.circuit, state, LOOK_AGAIN_MS[state]);
    const leftMs = this.#leftMs;
    if (state === 'open' && leftMs > 0)
      // Callers that come back all at once would find one of them trying it: they are spread over a tenth of the pause.
      throw new CircuitOpen(this.circuit, state, Math.ceil(leftMs * (1 + 0.1 * this.settings.random())));
  }

  /** @throws {CircuitOpen} and whatever the work throws */
  async run<T>(work: () => Promise<T>, speaksAgainst: (error: unknown) => boolean): Promise<T> {
    this.admit();
    try {
      return await this.#policy.execute(async () => {
        // Taken after it: the call that tries an open circuit changes its state.
        if (this.state !== 'closed') await Promise.resolve();
        const age = this.#age;
        try {
          const value = await work();
          if (age === this.#age) return value;
          throw new Unjudged({ value });
        } catch (error) {
          if (error instanceof Unjudged) throw error;
          if (age !== this.#age || !speaksAgainst(error)) throw new Unjudged({ error });
          throw error;
        }
      });
    } catch (error) {
      if (!(error instanceof Unjudged)) throw error;
      if ('value' in error.end) return error.end.value as T; // Cast: it is what the work returned.
      throw error.end.error;
    }
  }

  /** For good: what ends an isolation begins with a new one. */
  isolate(): void {
    this.#policy.isolate();
  }

  /** It says nothing any more. */
  forget(): void {
    clearTimeout(this.#timer);
  }

  get #leftMs(): number {
    return this.#pause.overAt - performance.now();
  }

  #tell(): void {
    clearTimeout(this.#timer);
    const { state } = this;
    // By the clock of the pause, which may be a moment behind that of a timer.
    if (state === 'open') this.#timer = setTimeout(() => this.#tell(), Math.ceil(this.#leftMs)).unref();
    if (state === this.#told) return;
    this.#told = state;
    this.onChange(state);
  }
}

/** Two failures in an hour are a share of all calls, and tell nothing. */
const DEFAULT_MINIMUM = 1;

const breakerOf = (trip: Trip): IBreaker =>
  'consecutive' in trip
    ? new ConsecutiveBreaker(trip.consecutive)
    : new ShareOfFailures({ minimumPerSecond: DEFAULT_MINIMUM, ...trip });

interface Pause {
  /** As `performance.now()` counts: by a clock that somebody sets back, a circuit would stay open for as long. */
  readonly overAt: number;
  /** As `Date.now()` counts, to be shown. */
  readonly halfOpenAt: number;
}

/** How long the circuit stays open: doubled each time, with jitter. */
class Pauses implements IBackoffFactory<unknown> {
  constructor(
    private readonly settings: Pick<CircuitSettings, 'halfOpenAfterMs' | 'longestOpenMs' | 'jitter' | 'random'>,
    private readonly onPause: (pause: Pause) => void,
    private readonly doublings = 0,
  ) {}

  next(): IBackoff<unknown> {
    const { halfOpenAfterMs, longestOpenMs, jitter, random } = this.settings;
    const plainMs = Math.min(longestOpenMs, halfOpenAfterMs * 2 ** Math.min(this.doublings, 30));
    const pauseMs = Math.ceil(plainMs * (1 + jitter * random()));
    const overAt = performance.now() + pauseMs;
    this.onPause({ overAt, halfOpenAt: Date.now() + pauseMs });
    const { settings, onPause, doublings } = this;
    return {
      // cockatiel compares it with what has passed by a clock that may be set.
      get duration() {
        return performance.now() < overAt ? Infinity : -Infinity;
      },
      next: () => new Pauses(settings, onPause, doublings + 1).next(),
    };
  }
}
