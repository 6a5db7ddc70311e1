/**
 * How the client talks to Temporal: each call is bounded, tried again while that makes sense, and not made at all while Temporal is
 * known to be away, so that a thousand callers do not each wait for their time to run out.
 *
 * The SDK tries a call again by itself, within moments; here it is about seconds and minutes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isGrpcServiceError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { Circuit, CircuitOpen } from '../resilience';
import { AnswerUnreadable, InvalidPatience, TemporalUnavailable } from './errors';
import { withLastRequest } from './last-request';
import { unreadable } from './unreadable';

/** How long a caller waits. */
export interface WaitOptions {
  /** For how many milliseconds. @default as long as it takes */
  readonly timeoutMs?: number;
  /** Ends the wait, and nothing else: the transaction goes on. */
  readonly signal?: AbortSignal;
}

/** One call. */
export interface Call<T> {
  /** What is known when it failed: `nothing`: nothing was started; `unknown`: it may have been. */
  readonly atStake: 'nothing' | 'unknown';
  /** Of the transaction. */
  readonly id: string;
  /** `short`: Temporal answers by itself, at once. `long`: it waits for a workflow, or for a worker, and may take days. */
  readonly kind: 'short' | 'long';
  /** When the caller loses patience, as `Date.now()` counts. */
  readonly until?: number;
  readonly signal?: AbortSignal;
  /** Must do no harm when it is made twice. */
  readonly make: () => Promise<T>;
}

/** Codes of gRPC. */
const DEADLINE_EXCEEDED = 4;
/** Where nobody has withdrawn the call: its time was up, and the server, which knows it too, has said so first. */
const CANCELLED = 1;
const TIME_IS_UP: readonly (number | undefined)[] = [DEADLINE_EXCEEDED, CANCELLED];
/** Temporal does not answer: these speak against it. */
const AWAY: readonly number[] = [DEADLINE_EXCEEDED, CANCELLED, 14 /* UNAVAILABLE */];
/** It has answered, and wants to be asked again. All others are answers. */
const LATER: readonly number[] = [8 /* RESOURCE_EXHAUSTED */, 10 /* ABORTED */, 13 /* INTERNAL */];

/** The SDK tries again by itself for as long as an attempt may take. */
const LONGEST_ATTEMPT_MS = 5_000;
const SHORTEST_ATTEMPT_MS = 1_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** Who has answered anybody since then is there. */
const LATELY_MS = 5_000;
/** Of a wait. More wait than the server lets wait at a time, and who asks again at once keeps out those who do its work. */
const LONGEST_PUT_OFF_MS = 30_000;
const DEFAULT_PATIENCE_MS = 10_000;

/** The wait is over, and what was waited for is not. */
export class WaitOver extends Error {}

export class TemporalCalls {
  readonly #circuit = new Circuit('temporal', {
    trip: { consecutive: 5 },
    halfOpenAfterMs: 500,
    longestOpenMs: 5_000,
    isFailure: isAway,
  });

  /** When Temporal has last answered anybody, as `Date.now()` counts. */
  #answeredAt = 0;

  /** @param patienceMs how long Temporal may be away before a call fails, in milliseconds; 0: it fails at once */
  constructor(
    private readonly client: Client,
    private readonly patienceMs = DEFAULT_PATIENCE_MS,
  ) {
    if (!Number.isSafeInteger(patienceMs) || patienceMs < 0 || patienceMs > 86_400_000)
      throw new InvalidPatience(patienceMs);
  }

  /**
   * @throws {TemporalUnavailable} when Temporal is away for longer than the client's patience
   * @throws {WaitOver} when the caller's time is up
   * @throws {AnswerUnreadable} when Temporal has answered and this process lacks the key, or the codec
   * @throws the reason of the signal
   * @throws what Temporal answers
   */
  async make<T>(call: Call<T>): Promise<T> {
    try {
      return await (call.kind === 'long' ? this.#wait(call) : this.#insist(call));
    } catch (error) {
      const unread = unreadable(error);
      throw unread ? new AnswerUnreadable(call.id, unread.cause) : error;
    }
  }

  /**
   * Waits, beside the circuit: a wait without an answer speaks against a workflow or its workers as well as against Temporal, and one that
   * tried an open circuit would keep everybody else out for as long as it lasts. A question that Temporal answers at once tells, and is
   * asked first where nobody has heard of it lately.
   */
  async #wait<T>(call: Call<T>): Promise<T> {
    let isThere = Date.now() - this.#answeredAt < LATELY_MS;
    for (let putOff = 0; ;) {
      if (!isThere || this.#circuit.report().state !== 'closed')
        await this.#insist({ ...call, make: () => this.#ask(call.id) });
      try {
        return await this.#attempt(call, (make) => make());
      } catch (error) {
        if (!isNoAnswer(error)) throw error;
        isThere = isPutOff(error);
        putOff = isThere ? putOff + 1 : 0;
      }
      await this.#pause(Math.min(LONGEST_PUT_OFF_MS, 1_000 * 2 ** putOff) * Math.random(), call);
    }
  }

  /**
   * Tries again until Temporal answers, or has been away for longer than the client's patience. One of thousands who wait may go without
   * an answer for as long as that while the others have theirs: Temporal is not away then, and a wait goes on.
   */
  async #insist<T>(call: Call<T>): Promise<T> {
    const short: Call<T> = { ...call, kind: 'short' };
    const begun = Date.now();
    const isWait = call.kind === 'long';
    let made = isWait;
    for (let tried = 0; ; tried++) {
      let pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tried) * (0.5 + Math.random());
      try {
        return await this.#attempt(short, (make) => this.#circuit.run(() => ((made = true), make())));
      } catch (error) {
        if (!isNoAnswer(error)) throw error;
        if (error instanceof CircuitOpen) pauseMs = Math.max(pauseMs, error.retryAfterMs);
        const since = isWait ? Math.max(begun, this.#answeredAt) : begun;
        const leftMs = since + this.patienceMs - Date.now();
        // A wait is not over before the last moment: others may have their answers until then.
        if (isWait && leftMs > 0) pauseMs = Math.min(pauseMs, leftMs);
        if (pauseMs > leftMs) throw new TemporalUnavailable(call.id, made ? call.atStake : 'nothing', { cause: error });
      }
      await this.#pause(pauseMs, call);
    }
  }

  /** Asks after a workflow, whatever the answer is: one that it does not exist is one. */
  async #ask(id: string): Promise<void> {
    try {
      await this.client.workflow.getHandle(id).describe();
    } catch (error) {
      if (isNoAnswer(error)) throw error;
    }
  }

  async #attempt<T>(call: Call<T>, through: (make: () => Promise<T>) => Promise<T>): Promise<T> {
    const isOver = (): boolean => call.until !== undefined && Date.now() >= call.until;
    call.signal?.throwIfAborted();
    if (isOver()) throw new WaitOver();
    try {
      return await through(async () => {
        const answer = await this.#once(call);
        this.#answeredAt = Date.now();
        return answer;
      });
    } catch (error) {
      if (isAnswer(error)) this.#answeredAt = Date.now();
      call.signal?.throwIfAborted();
      if (TIME_IS_UP.includes(codeOf(error)) && isOver()) throw new WaitOver();
      throw error;
    }
  }

  #once<T>({ kind, until, signal, make }: Call<T>): Promise<T> {
    const attemptMs = Math.min(LONGEST_ATTEMPT_MS, Math.max(SHORTEST_ATTEMPT_MS, this.patienceMs));
    const bound = kind === 'short' ? Math.min(until ?? Infinity, Date.now() + attemptMs) : until;
    const bounded = (): Promise<T> => (bound === undefined ? make() : this.client.withDeadline(bound, make));
    if (signal === undefined) return bounded();
    return withLastRequest(signal, (requests) => this.client.withAbortSignal(requests, bounded));
  }

  async #pause<T>(ms: number, { until, signal }: Call<T>): Promise<void> {
    const leftMs = until === undefined ? ms : Math.min(ms, Math.max(0, until - Date.now()));
    await sleep(leftMs, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
  }
}

/** Temporal did not answer, or has put us off. */
const isNoAnswer = (error: unknown): boolean => error instanceof CircuitOpen || isPutOff(error) || isAway(error);
const isAway = (error: unknown): boolean => AWAY.includes(codeOf(error) ?? -1);
const isPutOff = (error: unknown): boolean => LATER.includes(codeOf(error) ?? -1);
/** Temporal is there, whatever it says. */
const isAnswer = (error: unknown): boolean => codeOf(error) !== undefined && !isAway(error);

/** The code of gRPC's error, which the SDK may have wrapped. */
function codeOf(error: unknown): number | undefined {
  if (isGrpcServiceError(error)) return error.code;
  return error instanceof Error && isGrpcServiceError(error.cause) ? error.cause.code : undefined;
}
