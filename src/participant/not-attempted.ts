/**
 * Attempts that an open circuit keeps from being made. To the caller many of them end with a refusal or a vote like any other, so
 * whoever makes one of an open circuit notes it here, for whoever measures the attempt.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { AbortCode } from '../protocol';
import type { CircuitOpen } from '../resilience';
import { RefusalError } from './errors';

/** One attempt at one question. */
export interface Attempt {
  /** Why it was not made. */
  open?: CircuitOpen;
}

const attempts = new AsyncLocalStorage<Attempt>();

export const inAttempt = <T>(attempt: Attempt, work: () => Promise<T>): Promise<T> => attempts.run(attempt, work);

/** What was not attempted is made final, so that the caller can go another way and nothing comes after it. */
export function refusalOfOpen(open: CircuitOpen): RefusalError {
  const attempt = attempts.getStore();
  if (attempt) attempt.open = open;
  const { message, circuit, retryAfterMs } = open;
  return new RefusalError({ code: AbortCode.CircuitOpen, message, details: { circuit, retryAfterMs } });
}
