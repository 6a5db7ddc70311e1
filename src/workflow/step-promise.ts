/**
 * The promise of a step, as the body of its saga gets it: it knows whether anybody listens to it. A failure that nobody hears of must not
 * be forgotten; one that the body has looked at is the body's affair.
 *
 * Everything that listens to a promise, `await` included, looks at its constructor first. Apart from that it is a promise like any other,
 * and is settled in the very turn in which another one would be: workflows that run already go on in the order in which they did.
 */

export class StepPromise<T> extends Promise<T> {
  /** Whether anybody has listened to it. */
  isHeard = false;
}

void Object.defineProperty(StepPromise.prototype, 'constructor', {
  get(this: StepPromise<unknown>) {
    // Not that of one which only begins, nor of what all of them inherit from.
    if (Object.hasOwn(this, 'isHeard')) this.isHeard = true;
    return Promise;
  },
});

/** Looks at promises of steps without being noted. Temporal looks at them too, whenever one is settled. */
export function unnoted<T>(steps: readonly StepPromise<unknown>[], look: () => T): T {
  const unheard = steps.filter(({ isHeard }) => !isHeard);
  try {
    return look();
  } finally {
    for (const step of unheard) step.isHeard = false;
  }
}

/** What one of the two functions of `then` comes to. */
type Outcome<T> = () => T | Promise<T>;
/** Is called when a step has failed, with its promise. May listen to it: that does not count. */
type OnFailure = (step: Promise<unknown>) => void;

/** What `before.then(done, failed)` would be. */
export function stepAfter<A, T>(
  before: Promise<A>,
  done: (answer: A) => T | Promise<T>,
  failed: (error: unknown) => T | Promise<T>,
  onFailure: OnFailure,
): StepPromise<T> {
  const { step, settle } = unsettled<T>(onFailure);
  before.then(
    (answer) => settle(() => done(answer)),
    (error: unknown) => settle(() => failed(error)),
  );
  return step;
}

/** What `Promise.reject(error)` would be. */
export function failedStep<T>(error: unknown, onFailure: OnFailure): StepPromise<T> {
  const { step, settle } = unsettled<T>(onFailure);
  settle(() => {
    throw error;
  });
  return step;
}

function unsettled<T>(onFailure: OnFailure): { step: StepPromise<T>; settle: (outcome: Outcome<T>) => void } {
  let resolve!: (value: T | PromiseLike<T>) => void;
  let reject!: (error: unknown) => void;
  const step = new StepPromise<T>((...both) => ([resolve, reject] = both));
  const quietly = (look: () => void): void => unnoted([step], look);
  const failing = (fail: (error: unknown) => void) => (error: unknown) =>
    quietly(() => {
      onFailure(step);
      fail(error);
    });
  const settle = (outcome: Outcome<T>): void => {
    try {
      const value = outcome();
      quietly(() => resolve(value instanceof Promise ? following(value) : value));
    } catch (error) {
      failing(reject)(error);
    }
  };
  /** In as many turns as a promise takes that is resolved with another one, and its end is not left to itself. */
  const following = (other: Promise<T>): PromiseLike<T> => {
    const then = (done: (value: T) => void, fail: (error: unknown) => void): void =>
      void other.then((value) => quietly(() => done(value)), failing(fail));
    return { then } as PromiseLike<T>; // Cast: nobody but `resolve` calls it.
  };
  return { step, settle };
}
