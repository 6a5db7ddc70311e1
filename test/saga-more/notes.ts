/** An ordinary service, no participant: a set of notes. What free-form steps call. */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { Activities } from '../../src/testing';

type Fault = 'fail' | 'break' | 'lose-answer' | 'refuse';

export class Notes {
  readonly #notes = new Set<string>();
  readonly #faults = new Map<string, Fault[]>();
  readonly #calls: { readonly call: string; readonly at: number }[] = [];

  has(key: string): boolean {
    return this.#notes.has(key);
  }

  /** The next calls behave so, one after the other; later ones succeed. */
  faults(call: `${'put' | 'remove'} ${string}`, faults: readonly Fault[]): void {
    this.#faults.set(call, [...faults]);
  }

  /** The pauses between the calls, in whole seconds of the server's clock. */
  pauses(call: `${'put' | 'remove'} ${string}`): number[] {
    const times = this.#calls.filter((entry) => entry.call === call).map(({ at }) => at);
    return times.slice(1).map((at, i) => Math.floor((at - (times[i] ?? at)) / 1000));
  }

  readonly activities: Activities = {
    put: async (key: string) => {
      this.#doing(`put ${key}`, () => this.#notes.add(key));
      return `kept ${key}`;
    },
    remove: async (key: string) => {
      this.#doing(`remove ${key}`, () => this.#notes.delete(key));
    },
    has: async (key: string) => this.#notes.has(key),
  };

  #doing(call: string, work: () => void): void {
    this.#calls.push({ call, at: Context.current().info.scheduledTimestampMs });
    const fault = this.#faults.get(call)?.shift();
    if (fault === undefined || fault === 'lose-answer') work();
    if (fault === 'refuse') throw ApplicationFailure.nonRetryable(`${call}: no`, 'Refusal');
    if (fault !== undefined)
      throw ApplicationFailure.create({ message: `${call}: ${fault}`, nonRetryable: fault === 'break' });
  }
}
