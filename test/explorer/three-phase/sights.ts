/** Counts what an exploration comes past: one that never saw two terminations at once says nothing about them. */
import type { System } from '../engine';
import type { ThreePhaseCommit } from './model';
import { At, Db, get, has, Mail, Of, Phase, STATES, Trouble } from './state';

export type Sight =
  | 'all commit'
  | 'all abort'
  | 'two terminate at once'
  | 'all timers have fired at once'
  | 'the coordinator is gone and has told some to pre-commit'
  | 'the register is needed and cannot be reached'
  /** Somebody who is up has not ended, and has nothing to do until somebody is back. */
  | 'somebody is blocked'
  | 'nothing is left to do but for those who are down';

const TERMINATING: readonly string[] = ['register', 'peers', 'spread', 'decide'];

export class Sights {
  readonly #counts = new Map<Sight, number>();

  constructor(private readonly system: ThreePhaseCommit) {}

  of(sight: Sight): number {
    return this.#counts.get(sight) ?? 0;
  }

  get told(): string {
    return [...this.#counts].map(([sight, count]) => `${sight}: ${count}`).join('; ');
  }

  /** The system, watched: the engine asks of every new state whether it is an end, and only once. */
  watched(): System {
    const { system } = this;
    return {
      size: system.size,
      start: () => system.start(),
      expand: (state, take) => system.expand(state, take),
      brokenBy: (state) => system.brokenBy(state),
      canonize: (state) => system.canonize(state),
      isEnd: (state) => {
        this.#look(state);
        return system.isEnd(state);
      },
    };
  }

  #look(state: Uint8Array): void {
    const { world, participants } = this.system;
    const { everybody, circumstances } = world;
    const asks = everybody.map((who) => participants.askingOf(state, who)?.ask);
    const dbs = everybody.map((who) => participants.of(state, who, Of.db));
    if (dbs.every((db) => db === Db.committed)) this.#count('all commit');
    if (dbs.every((db) => db === Db.aborted)) this.#count('all abort');
    if (asks.filter((ask) => ask !== undefined && TERMINATING.includes(ask)).length > 1)
      this.#count('two terminate at once');
    const first = circumstances.mode === 'register' ? 'register' : 'peers';
    if (asks.every((ask) => ask === first)) this.#count('all timers have fired at once');
    if (get(state, At.registerDown) > 0 && asks.some((ask) => ask === 'register' || ask === 'decide'))
      this.#count('the register is needed and cannot be reached');
    if (get(state, At.phase) !== Phase.Gone) return;
    const told = everybody.filter((who) => this.#mayKnow(state, who)).length;
    if (told > 0 && told < everybody.length && asks.every((ask) => ask !== undefined && ask !== 'prepare'))
      this.#count('the coordinator is gone and has told some to pre-commit');
    if (!world.isSynchronous) return;
    const isDown = (who: number): boolean => participants.has(state, who, Of.trouble, Trouble.down);
    const waiting = everybody.filter((who) => asks[who] !== undefined && !isDown(who));
    if (waiting.length === 0) {
      if (everybody.some((who) => asks[who] !== undefined))
        this.#count('nothing is left to do but for those who are down');
      return;
    }
    let steps = 0;
    for (const who of waiting) participants.steps(state, who, (_next, kind) => (steps += kind === 'progress' ? 1 : 0));
    if (steps === 0) this.#count('somebody is blocked');
  }

  #mayKnow(state: Uint8Array, who: number): boolean {
    const { layout } = this.system.world;
    return (
      has(state, layout.at(who, Of.mail), Mail.preCommit) ||
      STATES[get(state, layout.at(who, Of.stand))] === 'pre-committed'
    );
  }

  #count(sight: Sight): void {
    this.#counts.set(sight, this.of(sight) + 1);
  }
}
