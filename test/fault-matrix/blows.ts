/** The faults of one case: put before the statements that they are meant for, and followed until they are over. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, InjectedFault, PostgresFaultProxy } from 'temporal-txn/testing';
import type { Blow, Place } from './plans';
import { patternOf } from './statements';

const LATE_MS = 600;
/** Longer than a session may idle in its transaction. */
const TOO_LATE_MS = 950;
/** Whoever is started while a statement waits may have to wait for what that one holds. */
const HEAD_START_MS = 60;

/** What can be started while a statement waits. */
export interface Meanwhile {
  /** Delivers the activity a second time. */
  readonly again: () => Promise<unknown>;
  /** Has recovery ask for the decision. */
  readonly rival: () => Promise<unknown>;
}

export class Blows {
  readonly #injected: InjectedFault[] = [];
  #atWork = 0;

  constructor(private readonly blows: readonly Blow[]) {}

  /** Puts those of a place before its statements, and takes away what was there. */
  arm(place: Place, proxy: PostgresFaultProxy | undefined, meanwhile: Meanwhile): void {
    proxy?.clear();
    for (const blow of this.blows.filter(({ at }) => at === place)) {
      const fault = proxy?.inject({
        statement: patternOf(blow.statement),
        passage: blow.occurrence,
        fault: faultOf(blow, meanwhile),
      });
      if (!fault) continue;
      this.#injected.push(fault);
      void fault.struck.then(() => this.#atWork++);
      const over = (): void => void this.#atWork--;
      void fault.over.then(over, over);
    }
  }

  /** Each of them settles when its fault strikes. */
  get struck(): Promise<unknown>[] {
    return this.#injected.map(({ struck }) => struck);
  }

  /** Some have struck and are not over. */
  get areAtWork(): boolean {
    return this.#atWork > 0;
  }

  /** It has met its statement. */
  get firstHasStruck(): boolean {
    const [first] = this.#injected;
    return first !== undefined && first.count > 0;
  }

  async untilOver(): Promise<void> {
    const struck = this.#injected.filter(({ count }) => count > 0);
    await Promise.all(struck.map(({ over }) => over.catch(() => undefined)));
  }
}

function faultOf({ fault }: Blow, { again, rival }: Meanwhile): Fault {
  const whileItWaits = (start: () => Promise<unknown>): Fault => ({
    kind: 'call',
    call: async () => void (await Promise.race([start(), sleep(HEAD_START_MS)])),
  });
  switch (fault) {
    case 'kill-before':
    case 'kill-after':
    case 'cancel':
      return { kind: fault };
    case 'late':
      return { kind: 'delay', ms: LATE_MS };
    case 'too late':
      return { kind: 'delay', ms: TOO_LATE_MS };
    case 'late answer':
      return { kind: 'delay-answer', ms: LATE_MS };
    case 'duplicate':
      return whileItWaits(again);
    case 'rival':
      return whileItWaits(rival);
  }
}
