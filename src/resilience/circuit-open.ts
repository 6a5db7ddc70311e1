/** The third outcome beside "done" and "unknown": nothing was attempted. */

/** A circuit is open, so the call was not made. Whoever gets this knows that this call changed nothing. */
export class CircuitOpen extends Error {
  override readonly name = 'CircuitOpen';

  constructor(
    /** Name of the circuit. */
    readonly circuit: string,
    readonly state: 'open' | 'half-open' | 'isolated',
    /** When it is worth trying again, in milliseconds from now. */
    readonly retryAfterMs: number,
  ) {
    super(`Nothing was attempted: the circuit ${circuit} is ${state}${WHY[state]}. Try again in ${retryAfterMs} ms.`);
  }
}

const WHY = {
  open: ', because calls kept failing',
  'half-open': ', and another call tries it',
  isolated: ' by an operator',
} as const;
