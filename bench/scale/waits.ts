/**
 * How many may wait. Who waits for a result is a request that the server holds back: by default 1,200 in a namespace, the workers'
 * included, and for 20 seconds each. Ten thousand callers would keep the workers from their tasks, and ask 500 times a second.
 */
export const MOST_WAITS = 20_000;
export const WAIT_SECONDS = 60;

export const DYNAMIC_CONFIG = {
  'frontend.namespaceCount': MOST_WAITS,
  'history.longPollExpirationInterval': `${WAIT_SECONDS}s`,
} as const;
