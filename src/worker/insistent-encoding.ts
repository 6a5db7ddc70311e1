/**
 * Encoding that is tried again while the codec fails, for as long as somebody waits for what is encoded.
 *
 * What cannot be encoded cannot be told to Temporal as a failure either, which would have to be encoded too: the SDK ends the worker
 * then. So a task waits for a codec that is away. It does not wait for ever: a payload that the codec refuses for good would keep its
 * place in the worker, each further attempt would take another, and soon nothing else would be done there.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asyncLocalStorage } from '@temporalio/activity';
import type { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { Runtime } from '@temporalio/worker';

/**
 * A payload could not be encoded in the time that there was. As the failure of an attempt, or of a workflow's task, it proves nothing but
 * that it is tried again.
 */
export class PayloadNotEncoded extends ApplicationFailure {
  constructor() {
    // Its type stays readable where its message is encrypted, or cannot be.
    super(
      'Not sent: a payload could not be encoded in the time that there was. What was done before stands, and is not done again. Bring back ' +
        'what the codec needs; if it refuses this payload for good, mend it or what it is given. Until then it is tried again.',
      'PayloadNotEncoded',
    );
  }
}

export interface Insistence {
  /** Whether the worker is about to stop: then nothing is tried again. */
  readonly stopping: () => boolean;
  /** Hears of each try that failed. */
  readonly failed: () => void;
  /**
   * Whether something belongs to a failure. That is left out when it cannot be encoded: a failure says by its type what counts, and has to
   * be told. Absent where nobody can know; then there is no end to trying, because to fail would end the worker.
   */
  readonly isOfFailure?: (payload: Payload) => boolean;
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;

export async function encodeInsistently(
  encode: () => ReturnType<PayloadCodec['encode']>,
  payloads: readonly Payload[],
  { stopping, failed, isOfFailure }: Insistence,
): Promise<Payload[]> {
  const attempt = asyncLocalStorage.getStore();
  const limitMs = isOfFailure ? patienceWith(attempt, payloads) : Infinity;
  const began = performance.now();
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await encode();
    } catch (error) {
      failed();
      const leftMs = stopping() ? 0 : began + limitMs - performance.now();
      log(error, leftMs > 0);
      if (leftMs <= 0) {
        if (isOfFailure === undefined) throw error;
        if (attempt) spent.add(attempt);
        if (payloads.every(isOfFailure)) return [];
        throw new PayloadNotEncoded();
      }
      await sleep(Math.min(pauseMs, leftMs));
    }
  }
}

/** Attempts at activities that have waited in vain once. What they still have to say, which is mostly just that, is tried once. */
const spent = new WeakSet<Context>();

/** Of the server, with a task of a workflow, unless who starts the workflow says otherwise: nobody here does. */
const WORKFLOW_TASK_MS = 10_000;
/** Of the time that whoever has given the task waits for it. So he hears that it came to nothing, and does not only hear nothing. */
const SHARE = 0.75;

function patienceWith(attempt: Context | undefined, payloads: readonly Payload[]): number {
  if (attempt === undefined) return SHARE * WORKFLOW_TASK_MS;
  const { heartbeatTimeoutMs, startToCloseTimeoutMs } = attempt.info;
  // Most likely a heartbeat. To give it up is to cancel the attempt, which can do its work without.
  if (payloads.every(isNothing)) return SHARE * startToCloseTimeoutMs;
  // It has come to an end, and sends no heartbeat any more.
  return spent.has(attempt) ? 0 : SHARE * (heartbeatTimeoutMs || startToCloseTimeoutMs);
}

const isNothing = ({ metadata }: Payload): boolean =>
  Buffer.from(metadata?.['encoding'] ?? []).toString() === 'binary/null';

function log(error: unknown, again: boolean): void {
  Runtime.instance().logger.warn(`A payload could not be encoded, and is ${again ? 'tried again' : 'given up'}`, {
    error: error instanceof Error ? error.name : 'something',
  });
}
