/**
 * Asks as Temporal does: an activity is tried again until it answers, beside attempts that were given up and go on. Whatever
 * anyone answers is held against the databases at once.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Blows } from './blows';
import type { Judge, Told } from './judge';
import type { Place, Spot } from './plans';
import type { Scene } from './scene';
import { spotsIn } from './statements';
import type { Bank, Name } from './world';

/** A worker whose heartbeats stop is given up before PostgreSQL ends its session. */
const GIVEN_UP_MS = 300;
const PAUSE_MS = 40;
/** Far more than any fault lasts: whoever has no answer by then will have none. */
const PATIENCE_MS = 20_000;
/** Nothing may hang, fault or not. */
const LONGEST_MS = 10_000;
/** A session that was cut off ends a moment later. */
const SESSIONS_END_MS = 4_000;

export type Ended = Told | 'no answer';

/** An activity with its request. */
export interface Question {
  readonly place: Place;
  readonly name: Name;
  readonly type: string;
  /** Besides what every request to a branch has. */
  readonly more?: object;
  /** The number of its first attempt. */
  readonly first?: number;
  readonly most?: number;
}

export class Attempts {
  /** Statements by place. */
  readonly recorded: Spot[] = [];
  readonly blows: Blows;
  readonly #underWay: Promise<unknown>[] = [];

  constructor(
    private readonly scene: Scene,
    private readonly judge: Judge,
  ) {
    this.blows = new Blows(scene.blows);
  }

  /** One question, until it is answered. */
  async ask(question: Question): Promise<Ended> {
    const { first = 1, most = Infinity } = question;
    const until = Date.now() + PATIENCE_MS;
    for (let attempt = first; attempt < first + most && Date.now() < until; attempt++) {
      const ended = await this.#attempt(question, attempt, attempt === first);
      if (ended !== 'no answer') {
        await this.judge.believe(ended);
        return ended;
      }
      await sleep(PAUSE_MS);
    }
    return 'no answer';
  }

  /** No attempt is under way any more, anywhere. */
  async untilQuiet(): Promise<void> {
    const { lane, world, transaction } = this.scene;
    for (let known = -1; known !== this.#underWay.length;) {
      known = this.#underWay.length;
      await Promise.all(this.#underWay);
      await this.blows.untilOver();
    }
    lane.heal();
    const until = Date.now() + SESSIONS_END_MS;
    let busy = await world.busy(lane.label, transaction);
    while (busy.length > 0 && Date.now() < until) {
      await sleep(PAUSE_MS);
      busy = await world.busy(lane.label, transaction);
    }
    this.scene.must(busy.length === 0, `sessions are left in the middle of something: ${busy.join('; ')}`);
  }

  async #attempt(question: Question, attempt: number, isFirst: boolean): Promise<Ended> {
    const { lane, world, blows, transaction } = this.scene;
    const { place, name } = question;
    const bank = lane.at(name);
    const ask = (who: string): Promise<Ended> => this.#follow(this.#record(bank, question, attempt, who));
    if (isFirst) {
      const word = { place: 'a rival', name: 'north', type: 'recovery.decide', more: this.scene.entry } as const;
      this.blows.arm(place, bank.proxy, {
        again: () => ask('delivered twice'),
        rival: () => this.#follow(this.#record(world.direct('north'), word, 1, 'recovery')),
      });
    }
    const running = ask(`attempt ${attempt}`);
    const ended = await Promise.race([running, this.#giveUp(`${place}, attempt ${attempt}`, attempt, running)]);
    if (isFirst && blows.length === 0) this.recorded.push(...spotsIn(bank.proxy?.seen ?? [], place, transaction));
    return ended;
  }

  /** It goes on, whether or not anybody waits for it. */
  #follow(running: Promise<Ended>): Promise<Ended> {
    this.#underWay.push(running);
    return running;
  }

  /**
   * Only an attempt that runs while a fault is at work is given up: before, the statement that is to be hit must come, and after,
   * retries would only slow down a slow machine.
   */
  async #giveUp(what: string, attempt: number, running: Promise<Ended>): Promise<Ended> {
    const ended = new AbortController();
    const stop = (): void => ended.abort();
    void running.then(stop, stop);
    const wait = (ms: number): Promise<void> => sleep(ms, undefined, { signal: ended.signal }).catch(() => undefined);
    const longest = wait(LONGEST_MS);
    await Promise.race([longest, ...this.blows.struck]);
    await wait(GIVEN_UP_MS + attempt * 50);
    if (!this.blows.areAtWork) await longest;
    if (ended.signal.aborted) return running;
    this.scene.note(`${what}: given up`);
    return 'no answer';
  }

  /** What it answers is held against the database, whether or not anybody still waits for it. */
  async #record(bank: Bank, { place, type, more }: Question, attempt: number, who: string): Promise<Ended> {
    const refusedBefore = this.judge.hasRefused(bank.name);
    try {
      const answer = await this.#run(bank, type, more, attempt);
      this.scene.note(`${place}, ${who}: ${type === 'recovery.watch' ? 'looked' : JSON.stringify(answer)}`);
      const told = { place, name: bank.name, type, answer };
      await this.judge.hold(told, refusedBefore);
      return told;
    } catch (error) {
      this.scene.note(`${place}, ${who}: failed: ${error instanceof Error ? error.message : String(error)}`);
      return 'no answer';
    }
  }

  async #run(bank: Bank, type: string, more: object | undefined, attempt: number): Promise<Told['answer']> {
    const isRecovery = type.startsWith('recovery');
    const activity = isRecovery ? type : `${bank.name === 'north' ? 'debit' : 'credit'}.${type}`;
    const request = isRecovery ? { ...more } : { ...this.scene.request(bank.name), ...more };
    return (await bank.run(activity, request, attempt)) as Told['answer']; // Cast: every activity answers with an object.
  }
}
