/**
 * A circuit: what stands between a participant and something that it calls. Each tenant has a breaker of its own, so that the
 * calls of one that fail do not cut off the others.
 */
import { Breaker } from './breaker';
import type { BreakerState } from './breaker';
import { CircuitOpen } from './circuit-open';
import { circuitSettings } from './options';
import type { CircuitOptions, CircuitSettings } from './options';

/** How a circuit stands in this process. */
export interface CircuitReport {
  readonly circuit: string;
  /** The worst of its tenants. */
  readonly state: BreakerState;
  /** How many tenants are not served. */
  readonly cutOff: number;
  /** Of the last change of any tenant, as `Date.now()` counts. */
  readonly since: number;
  /** When the next one may be tried, as `Date.now()` counts. */
  readonly halfOpenAt?: number;
}

/** More tenants than that are not told apart for ever: the one that was not called for longest starts anew. */
const MOST_TENANTS = 1_000;

const WORST_FIRST: readonly BreakerState[] = ['isolated', 'open', 'half-open', 'closed'];

export type CircuitListener = (state: BreakerState) => void;

export class Circuit {
  readonly #settings: CircuitSettings;
  /** The one called last comes last. */
  readonly #tenants = new Map<string, Breaker>();
  readonly #listeners = new Set<CircuitListener>();
  #isolated = false;
  #since = Date.now();

  /** See {@link circuit}. */
  constructor(
    readonly name: string,
    options: CircuitOptions = {},
    random: () => number = Math.random,
  ) {
    this.#settings = circuitSettings(name, options, random);
  }

  /**
   * Makes the call, unless the circuit is open.
   *
   * @param tenant whose call it is, where tenants have accounts or limits of their own at the callee
   * @throws {CircuitOpen} when it is: nothing was attempted then
   * @example const answer = await gateway.run(() => fetch(url, { signal: AbortSignal.timeout(2_000) }));
   */
  run<T>(call: () => Promise<T>, { tenant = '' }: { readonly tenant?: string } = {}): Promise<T> {
    return this.#breakerOf(tenant).run(call, (error) => !isNoFailure(error) && this.#settings.isFailure(error));
  }

  /** Cuts it off, whatever it has heard, until {@link close}. */
  isolate(): void {
    if (this.#isolated) return;
    this.#isolated = true;
    for (const breaker of this.#tenants.values()) breaker.isolate();
    this.#changed('isolated');
  }

  /** Ends an isolation and forgets what failed: the next call is made. */
  close(): void {
    this.#isolated = false;
    for (const breaker of this.#tenants.values()) breaker.forget();
    this.#tenants.clear();
    this.#changed('closed');
  }

  /** For how many milliseconds a call of this tenant would not be made; undefined when it would. */
  refusedForMs({ tenant = '' }: { readonly tenant?: string } = {}): number | undefined {
    try {
      this.#breakerOf(tenant).admit();
      return undefined;
    } catch (error) {
      if (error instanceof CircuitOpen) return error.retryAfterMs;
      throw error;
    }
  }

  report(): CircuitReport {
    const breakers = [...this.#tenants.values()];
    const states = this.#isolated ? (['isolated'] as const) : breakers.map(({ state }) => state);
    const state = WORST_FIRST.find((candidate) => states.some((one) => one === candidate)) ?? 'closed';
    const times = breakers.flatMap(({ halfOpenAt }) => halfOpenAt ?? []);
    return {
      circuit: this.name,
      state,
      cutOff: breakers.filter((breaker) => breaker.state !== 'closed').length,
      since: this.#since,
      ...(times.length === 0 ? {} : { halfOpenAt: Math.min(...times) }),
    };
  }

  /** Tells of every change, of the end of a pause and of tenants that start anew too. @returns what ends it */
  onChange(listener: CircuitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #breakerOf(tenant: string): Breaker {
    const known = this.#tenants.get(tenant);
    this.#tenants.delete(tenant);
    const breaker: Breaker =
      known ??
      new Breaker(this.name, this.#settings, (state) => {
        // A call may end after its breaker was forgotten, which then has nothing to say.
        if (this.#tenants.get(tenant) === breaker) this.#changed(state);
      });
    // Before it is known: a circuit that is isolated has not changed.
    if (this.#isolated && !known) breaker.isolate();
    this.#tenants.set(tenant, breaker);
    if (this.#tenants.size > MOST_TENANTS) this.#forgetOldest();
    return breaker;
  }

  #forgetOldest(): void {
    for (const [tenant, breaker] of this.#tenants) {
      this.#tenants.delete(tenant);
      breaker.forget();
      // What starts anew is not cut off any more. That of an isolated circuit is isolated again.
      if (!this.#isolated && breaker.state !== 'closed') this.#changed('closed');
      return;
    }
  }

  #changed(state: BreakerState): void {
    this.#since = Date.now();
    for (const listener of this.#listeners) listener(state);
  }
}

/**
 * Makes a circuit for something that a participant calls: a payment gateway, a mail server. One for each callee, made once
 * in a process and given to the worker too, so that operators see it and can isolate it.
 *
 * Inside an operation an open circuit ends the attempt: its local transaction is rolled back, and the branch is asked again
 * when the circuit may be tried.
 *
 * @throws {InvalidCircuit}
 * @example
 * const gateway = circuit('card-gateway', { trip: { consecutive: 5 }, halfOpenAfterMs: 10_000 });
 * const charge = operation({ …, execute: (tx, card) => gateway.run(() => askGateway(card)) });
 * await runParticipant(payments, { database, circuits: [gateway] });
 */
export const circuit = (name: string, options: CircuitOptions = {}): Circuit => new Circuit(name, options);

/** Business refusals, and a call that was not made, say nothing about the callee. By name: an application may have two copies of us. */
const isNoFailure = (error: unknown): boolean =>
  error instanceof CircuitOpen || (error instanceof Error && ['RefusalError', 'CircuitOpen'].includes(error.name));
