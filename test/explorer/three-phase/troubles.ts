/**
 * What happens to participants and to the register from outside: crashes, a cut network, an unreachable register, and the
 * recovery of the participants' databases, which judges what it finds prepared with the shipped judgement.
 */
import { judge } from '../../../src/protocol';
import type { Decision } from '../../../src/protocol';
import type { TakeStep } from '../engine';
import { registering } from './deeds';
import type { Participants } from './participants';
import { At, Db, DECISIONS, get, has, Heard, Of, Phase, put, registerOf, set, Trouble, unset } from './state';
import type { World } from './world';

const PATIENCE = { graceMs: 1, hardLimitMs: 3 };
/** Beyond the grace period; beyond the hard limit, as anything may be where there are no limits to time. */
const OLD_MS = 2;
const OVERDUE_MS = 4;

export class Troubles {
  constructor(
    private readonly world: World,
    private readonly participants: Participants,
  ) {}

  steps(state: Uint8Array, take: TakeStep): void {
    const { everybody, circumstances } = this.world;
    if (circumstances.register === 'fails for a while') this.#toggleRegister(state, take);
    if (get(state, At.cutsLeft) > 0) this.#cut(state, take);
    for (const who of everybody) {
      this.#crash(state, who, take);
      if (circumstances.recovery === 'at work') this.#recover(state, who, take);
      if (circumstances.restarts === 'at any time') this.#restart(state, who, take);
    }
  }

  #toggleRegister(state: Uint8Array, take: TakeStep): void {
    const down = get(state, At.registerDown) > 0;
    const next = this.world.copied(state);
    put(next, At.registerDown, down ? 0 : 1);
    take(next, down ? 'progress' : 'fault', () =>
      down ? 'The register can be reached again.' : 'The register cannot be reached.',
    );
  }

  #crash(state: Uint8Array, who: number, take: TakeStep): void {
    const { world } = this;
    const at = world.layout.at(who, Of.trouble);
    if (has(state, at, Trouble.down)) {
      const next = world.copied(state);
      unset(next, at, Trouble.down);
      return take(next, 'progress', () => `${world.name(who)} is back.`);
    }
    if (get(state, At.crashesLeft) === 0) return;
    const next = world.spending(state, At.crashesLeft);
    set(next, at, Trouble.down | Trouble.crashed);
    take(next, 'fault', () => `${world.name(who)} crashes.`);
  }

  #restart(state: Uint8Array, who: number, take: TakeStep): void {
    const { world, participants } = this;
    if (participants.of(state, who, Of.position) === 0) return;
    const next = world.copied(state);
    for (const peer of world.everybody) put(next, world.layout.heardAt(who, peer), Heard.nothing);
    participants.stand(next, who, 'initial');
    participants.enter(next, who, world.automaton.root);
    take(next, 'fault', () => `An operator resets ${world.name(who)}, which begins anew.`);
  }

  #cut(state: Uint8Array, take: TakeStep): void {
    const { everybody, layout } = this.world;
    for (const who of everybody) {
      const next = this.world.spending(state, At.cutsLeft);
      set(next, layout.at(who, Of.trouble), Trouble.cut);
      take(
        next,
        'fault',
        () => `The network is cut: ${this.world.name(who)} on one side, everybody else on the other.`,
      );
    }
    const next = this.world.spending(state, At.cutsLeft);
    for (const who of everybody) set(next, layout.at(who, Of.trouble), Trouble.cut);
    take(next, 'fault', () => 'The network is cut: nobody reaches anybody.');
  }

  /** Where there are no limits to time, it may have judged long before it acts: before the branch was pre-committed, for one. */
  #recover(state: Uint8Array, who: number, take: TakeStep): void {
    const { participants } = this;
    if (participants.has(state, who, Of.trouble, Trouble.down)) return;
    const db = participants.of(state, who, Of.db);
    const begun = participants.of(state, who, Of.position) > 0;
    const missing = db === Db.nothing && begun && participants.askingOf(state, who)?.ask === 'prepare';
    if (!missing && db !== Db.prepared && db !== Db.preCommitted) return;
    const coordinator = get(state, At.phase) === Phase.Gone ? 'gone' : 'running';
    const ageMs = this.world.isSynchronous ? OLD_MS : OVERDUE_MS;
    for (const preCommitted of db === Db.preCommitted ? (this.world.isSynchronous ? [true] : [true, false]) : [false]) {
      const { act } = judge(
        { ageMs, coordinator, owned: true, prepared: !missing, preCommitted, register: registerOf(state) },
        PATIENCE,
      );
      if (act.kind === 'apply') this.#apply(state, who, act.decision, take);
      if (act.kind === 'decide') this.#decide(state, who, act.propose, take);
    }
  }

  #apply(state: Uint8Array, who: number, decision: Decision, take: TakeStep): void {
    const { world } = this;
    const next = world.copied(state);
    const broken =
      decision === 'commit' && this.participants.of(state, who, Of.db) === Db.nothing
        ? 'a branch is committed that is not prepared'
        : undefined;
    put(next, world.layout.at(who, Of.db), decision === 'commit' ? Db.committed : Db.aborted);
    const does = decision === 'commit' ? 'commits' : 'aborts';
    take(next, 'fault', () => `The recovery of ${world.name(who)} ${does}, as the register says.`, broken);
  }

  #decide(state: Uint8Array, who: number, propose: Decision, take: TakeStep): void {
    const { world } = this;
    const written = registering(world, state, propose);
    if (!written) return;
    const next = world.copied(state);
    put(next, At.register, DECISIONS.indexOf(written.decided));
    take(next, 'fault', () => `The recovery of ${world.name(who)} ${written.event}.`, written.broken);
  }
}
