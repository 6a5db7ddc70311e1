/**
 * The recovery of a participant around its judgement, as in `src/workflow/recovery.ts`, and what people and failovers do to
 * what is prepared. What recovery has done to the branch is in `attempts.ts`; between the judgement and that, anything may
 * happen.
 */
import { judge } from '../../src/protocol';
import type { InDoubt } from '../../src/protocol';
import type { TakeStep } from './engine';
import { At, at, DECISIONS, Flag, get, has, Of, Phase, positionAt, put, Slot } from './state';
import type { World } from './world';

const PATIENCE = { graceMs: 1, hardLimitMs: 3 };
/** Older than the grace period; older than the hard limit. What is younger is left alone. */
const OLD_MS = 2;
const OVERDUE_MS = 4;

interface RecoveryAct {
  /** Where its program begins. */
  readonly root: number;
  readonly because: string;
}

export class Recovery {
  readonly #judged = new Map<number, readonly RecoveryAct[]>();

  constructor(private readonly world: World) {}

  steps(state: Uint8Array, branch: number, take: TakeStep): void {
    this.#recover(state, branch, take);
    if (get(state, At.handsLeft) > 0 && get(state, at(branch, Of.prepared)) > 0) this.#tamper(state, branch, take);
  }

  #recover(state: Uint8Array, branch: number, take: TakeStep): void {
    const { circumstances, mechanisms } = this.world;
    if (circumstances.recovery === 'down' || mechanisms.recovery === 'none') return;
    if (get(state, positionAt(branch, Slot.recovering)) > 0) return;
    const prepared = get(state, at(branch, Of.prepared)) > 0;
    const missing = has(state, at(branch, Of.flags), Flag.recorded) && get(state, at(branch, Of.row)) === 0;
    if (!prepared && !missing) return;
    for (const { root, because } of this.#judge(state, prepared)) {
      const next = this.world.copied(state);
      put(next, positionAt(branch, Slot.recovering), root);
      take(next, 'progress', () => `At ${this.world.name(branch)} recovery steps in. ${because}`);
    }
  }

  #judge(state: Uint8Array, prepared: boolean): readonly RecoveryAct[] {
    const gone = get(state, At.phase) > Phase.Aborting;
    const key = get(state, At.register) * 4 + (gone ? 2 : 0) + (prepared ? 1 : 0);
    const known = this.#judged.get(key);
    if (known) return known;
    const register = DECISIONS[get(state, At.register)] ?? 'none';
    const facts = {
      register,
      coordinator: gone ? 'gone' : 'running',
      prepared,
      owned: true,
      preCommitted: false,
    } as const;
    const ages = this.world.circumstances.recovery === 'impatient' ? [OLD_MS, OVERDUE_MS] : [OLD_MS];
    const all = ages.flatMap((ageMs) => this.#actOn({ ...facts, ageMs }));
    const acts = all.filter(({ root }, i) => all.findIndex((act) => act.root === root) === i);
    this.#judged.set(key, acts);
    return acts;
  }

  #actOn(facts: InDoubt): RecoveryAct[] {
    const { act, because } = judge(facts, PATIENCE);
    const { finish, decide } = this.world.roots;
    switch (act.kind) {
      case 'leave':
      case 'hold':
        return [];
      case 'apply':
        return [{ root: finish[act.decision], because }];
      case 'decide':
        break;
    }
    switch (this.world.mechanisms.recovery) {
      case 'presumes abort':
        return [{ root: finish.abort, because }];
      case 'presumes commit':
        return facts.prepared ? [{ root: finish.commit, because }] : [];
      case 'asks the register':
      case 'none':
        // The decision is asked of the register, and followed at the branch itself.
        return [{ root: decide.abort, because }];
    }
  }

  #tamper(state: Uint8Array, branch: number, take: TakeStep): void {
    const name = this.world.name(branch);
    const next = this.world.spending(state, At.handsLeft);
    put(next, at(branch, Of.prepared), 0);
    take(next, 'fault', () => `At ${name} the prepared transaction is lost in a failover, or rolled back by hand.`);
    put(next, at(branch, Of.row), 1);
    put(next, at(branch, Of.effects), get(state, at(branch, Of.effects)) + 1);
    take(next, 'fault', () => `At ${name} somebody commits the prepared transaction by hand.`);
  }
}
