/**
 * Calls a function that returns a promise: what it throws at once rejects the promise, like what it throws later. An async function
 * would do the same, with two promises more; Temporal keeps track of each, which is what a workflow that runs for many spends its time on.
 */
export function rejecting<T>(call: () => Promise<T>): Promise<T> {
  try {
    return call();
  } catch (error) {
    const failure = error as Error; // Cast: whatever was thrown is passed on as it is.
    return Promise.reject(failure);
  }
}
