/**
 * The coordinator, as in `src/workflow/three-phases.ts`, each message of it a step of its own; and the crash or the operator that
 * ends it between any two of them, or has it start anew.
 *
 * What it hears is looked at when it acts on it: nobody can tell whether a vote came before, and a vote and an acknowledgement are
 * never taken back.
 */
import type { Decision } from '../../../src/protocol';
import type { TakeStep } from '../engine';
import { registering } from './deeds';
import type { Participants } from './participants';
import { At, DECISIONS, get, has, Mail, Of, Phase, put, Said, set, STATES, Trouble } from './state';
import type { World } from './world';

const VOTED = Said.commit | Said.abort | Said.readOnly;
const CONSENTED = Said.commit | Said.readOnly;

export class Coordinator {
  constructor(
    private readonly world: World,
    private readonly participants: Participants,
  ) {}

  steps(state: Uint8Array, take: TakeStep): void {
    switch (get(state, At.phase)) {
      case Phase.Collecting:
        this.#collect(state, take);
        break;
      case Phase.PreCommitting:
        this.#preCommit(state, take);
        break;
      case Phase.ProposingCommit:
        this.#decide(state, 'commit', take);
        break;
      case Phase.ProposingAbort:
        this.#decide(state, 'abort', take);
        break;
      case Phase.TellingCommit:
        this.#tell(state, Mail.commit, 'to commit', take);
        break;
      case Phase.TellingAbort:
        this.#tell(state, Mail.abort, 'to abort', take);
        break;
      default:
        break;
    }
    this.#end(state, take);
  }

  #collect(state: Uint8Array, take: TakeStep): void {
    const { world, participants } = this;
    for (const who of world.everybody) {
      if (participants.of(state, who, Of.position) > 0) continue;
      const next = world.copied(state);
      participants.enter(next, who, world.automaton.root);
      take(next, 'fault', () => `The coordinator asks ${world.name(who)} whether it can commit.`);
    }
    const agreed = world.everybody.filter((who) => this.#hears(state, who, CONSENTED));
    const isHasty = world.mechanisms.coordinator.preCommits === 'when one has voted';
    if (agreed.length === world.everybody.length)
      this.#enter(state, Phase.PreCommitting, take, 'The coordinator hears that all vote to commit.');
    else if (isHasty && agreed.length > 0)
      this.#enter(state, Phase.PreCommitting, take, 'The coordinator hears that one votes to commit.');
    if (world.everybody.some((who) => this.#hears(state, who, Said.abort)))
      this.#abort(state, take, 'The coordinator hears a vote to abort');
    else if (this.#waitsInVain(state, world.everybody, VOTED)) this.#abortInSilence(state, take);
  }

  #abortInSilence(state: Uint8Array, take: TakeStep): void {
    const { world, participants } = this;
    const asked = world.everybody.every((who) => participants.of(state, who, Of.position) > 0);
    if (world.mechanisms.coordinator.silence === 'is an abort')
      this.#abort(state, take, 'The coordinator waits for no more votes');
    else if (asked)
      this.#enter(
        state,
        Phase.PreCommitting,
        take,
        'The coordinator waits for no more votes, and takes that for consent.',
      );
  }

  #abort(state: Uint8Array, take: TakeStep, because: string): void {
    if (this.#decidesAlone('abort')) this.#enter(state, Phase.TellingAbort, take, `${because}, and decides to abort.`);
    else this.#enter(state, Phase.ProposingAbort, take, `${because}, and wants to abort.`);
  }

  #decidesAlone(decision: Decision): boolean {
    const { circumstances, mechanisms } = this.world;
    if (circumstances.mode === 'classic-unsafe') return true;
    return decision === 'abort' && mechanisms.coordinator.decides === 'alone';
  }

  /** All are sent, then acknowledgements are waited for. */
  #preCommit(state: Uint8Array, take: TakeStep): void {
    const { world } = this;
    const members = world.everybody.filter((who) => this.#isMember(state, who));
    for (const who of members) this.#send(state, who, Mail.preCommit, 'that all can commit', take);
    if (world.isSynchronous && !members.every((who) => this.#hasSent(state, who, Mail.preCommit))) return;
    const heardAll = members.every((who) => this.#hears(state, who, Said.acknowledged));
    const impatient =
      world.mechanisms.coordinator.waits === 'for nothing' || this.#waitsInVain(state, members, Said.acknowledged);
    if (!heardAll && !impatient) return;
    const because = heardAll
      ? 'The coordinator hears that all are pre-committed'
      : 'The coordinator waits for no more acknowledgements';
    if (this.#decidesAlone('commit'))
      this.#enter(state, Phase.TellingCommit, take, `${because}, and decides to commit.`);
    else this.#enter(state, Phase.ProposingCommit, take, `${because}, and wants to commit.`);
  }

  /** Whether its timer may fire: at any time, or when nothing more can come of those it has not heard. */
  #waitsInVain(state: Uint8Array, members: readonly number[], wanted: number): boolean {
    const { world, participants } = this;
    const missing = members.filter((who) => !this.#hears(state, who, wanted));
    if (missing.length === 0 || !world.isSynchronous) return missing.length > 0;
    return missing.every((who) => {
      if (participants.has(state, who, Of.trouble, Trouble.down | Trouble.cut)) return true;
      // What has ended without it does not acknowledge.
      const stand = STATES[participants.of(state, who, Of.stand)];
      return wanted === Said.acknowledged && (stand === 'committed' || stand === 'aborted');
    });
  }

  #decide(state: Uint8Array, propose: Decision, take: TakeStep): void {
    const { world } = this;
    const written = registering(world, state, propose);
    if (!written) return;
    const next = world.copied(state);
    put(next, At.register, DECISIONS.indexOf(written.decided));
    const decision = world.mechanisms.coordinator.obeys === 'the register' ? written.decided : propose;
    const phase = decision === 'commit' ? Phase.TellingCommit : Phase.TellingAbort;
    this.#enter(next, phase, take, `The coordinator ${written.event}.`, written.broken);
  }

  #tell(state: Uint8Array, bit: number, what: string, take: TakeStep): void {
    for (const who of this.world.everybody) if (this.#isMember(state, who)) this.#send(state, who, bit, what, take);
  }

  #send(state: Uint8Array, who: number, bit: number, what: string, take: TakeStep): void {
    const { world } = this;
    if (this.#hasSent(state, who, bit)) return;
    const next = world.copied(state);
    if (world.isSynchronous) put(next, world.layout.at(who, Of.sent), 1);
    set(next, world.layout.at(who, Of.mail), bit);
    take(next, 'fault', () => `The coordinator tells ${world.name(who)} ${what}.`);
  }

  /** In an asynchronous network what has been sent may come again, so it need not be sent again. */
  #hasSent(state: Uint8Array, who: number, bit: number): boolean {
    const { isSynchronous, layout } = this.world;
    return isSynchronous ? get(state, layout.at(who, Of.sent)) > 0 : has(state, layout.at(who, Of.mail), bit);
  }

  /** Closing when all is sent, being terminated and crashing look alike to those who hear nothing. */
  #end(state: Uint8Array, take: TakeStep): void {
    const { isSynchronous, circumstances } = this.world;
    // In a synchronous network nobody ends alone as long as the coordinator is there.
    const kind = isSynchronous ? 'progress' : 'fault';
    if (get(state, At.phase) !== Phase.Gone)
      this.#enter(state, Phase.Gone, take, 'The coordinator crashes.', undefined, kind);
    if (circumstances.resets === 'at any time')
      this.#enter(state, Phase.Collecting, take, 'An operator resets the coordinator to its beginning.');
  }

  #enter(
    state: Uint8Array,
    phase: number,
    take: TakeStep,
    sentence: string,
    broken?: string,
    kind: 'progress' | 'fault' = 'fault',
  ): void {
    const next = this.world.copied(state);
    put(next, At.phase, phase);
    for (const who of this.world.everybody) put(next, this.world.layout.at(who, Of.sent), 0);
    take(next, kind, () => sentence, broken);
  }

  #hears(state: Uint8Array, who: number, bits: number): boolean {
    if (this.participants.has(state, who, Of.trouble, Trouble.cut)) return false;
    return this.participants.has(state, who, Of.said, bits);
  }

  /** Whether it has been asked and has something to finish. */
  #isMember(state: Uint8Array, who: number): boolean {
    const { participants } = this;
    return participants.of(state, who, Of.position) > 0 && !participants.has(state, who, Of.said, Said.readOnly);
  }
}
