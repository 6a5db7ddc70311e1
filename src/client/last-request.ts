/**
 * A signal for the SDK. It listens to the signal that it is given once for each request, for ever, and one who waits for days makes
 * thousands of requests: each of them would be kept until the wait ends. Here the last one alone listens: they follow each other.
 */
export async function withLastRequest<T>(signal: AbortSignal, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const own = new AbortController();
  const add = own.signal.addEventListener.bind(own.signal);
  let last: () => void = () => undefined;
  own.signal.addEventListener = (...[type, listener]: Parameters<typeof add>) => {
    last();
    add(type, listener);
    last = () => own.signal.removeEventListener(type, listener);
  };
  const abort = (): void => own.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await call(own.signal);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
