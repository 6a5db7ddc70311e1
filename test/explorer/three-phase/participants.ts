/**
 * Participants: the shipped program, and what its driver, its database and its inbox make of each question. What it asks other
 * participants is in `inquiries.ts`.
 *
 * A message is sent in the same moment in which the program comes to it: nobody can tell them apart.
 */
import type { ParticipantState } from '../../../src/protocol';
import type { TakeStep } from '../engine';
import { deedsOf, registering } from './deeds';
import { Inquiries } from './inquiries';
import { decisionOf, follow } from './participation';
import type { Asking } from './participation';
import {
  At,
  DECISIONS,
  get,
  has,
  Heard,
  Mail,
  Of,
  Phase,
  put,
  registerOf,
  Said,
  set,
  STATES,
  Trouble,
  unset,
} from './state';
import type { World } from './world';

const MESSAGES = [
  [Mail.preCommit, 'pre-commit', 'hears from the coordinator that all can commit'],
  [Mail.commit, 'commit', 'hears from the coordinator: commit'],
  [Mail.abort, 'abort', 'hears from the coordinator: abort'],
  [Mail.preCommitOfPeer, 'pre-commit', 'hears from another participant that all can commit'],
] as const;
const OF_COORDINATOR = Mail.preCommit | Mail.commit | Mail.abort;

export class Participants {
  readonly #inquiries: Inquiries;

  constructor(private readonly world: World) {
    this.#inquiries = new Inquiries(world, this);
  }

  steps(state: Uint8Array, who: number, take: TakeStep): void {
    if (this.has(state, who, Of.trouble, Trouble.down)) return;
    const position = this.askingOf(state, who);
    if (position === undefined) return;
    switch (position.ask) {
      case 'prepare':
      case 'preCommit':
      case 'finish':
        return this.#work(state, who, position, take);
      case 'next':
        this.#receive(state, who, position, Object.values(Mail), take);
        return this.#fallSilent(state, who, position, take);
      case 'register':
        return this.#readRegister(state, who, position, take);
      case 'decide':
        return this.#decide(state, who, position, take);
      case 'peers':
      case 'spread':
        return this.#inquiries.steps(state, who, position, take);
      case 'vote':
      case 'acknowledge':
        throw new Error('Messages are sent at once.');
    }
  }

  /** Has the program go on from a position. Returns what it says on the way. */
  enter(next: Uint8Array, who: number, id: number): string {
    const { automaton } = this.world;
    const position = automaton.at(id);
    put(next, this.#at(who, Of.position), id);
    if ('result' in position) return '';
    switch (position.ask) {
      case 'vote':
        return this.#vote(next, who, position) + this.enter(next, who, follow(position, 'sent'));
      case 'acknowledge':
        set(next, this.#at(who, Of.said), Said.acknowledged);
        return `, and acknowledges${this.enter(next, who, follow(position, 'sent'))}`;
      case 'finish': {
        const decision = decisionOf(position);
        this.stand(next, who, decision === 'commit' ? 'committed' : 'aborted');
        return `, and decides to ${decision}`;
      }
      case 'peers':
      case 'spread':
        return this.#inquiries.open(next, who, position.ask);
      default:
        return '';
    }
  }

  /** The question that a participant waits to have answered. Undefined when it has not been asked, or has ended. */
  askingOf(state: Uint8Array, who: number): Asking | undefined {
    const id = this.of(state, who, Of.position);
    if (id === 0) return undefined;
    const position = this.world.automaton.at(id);
    return 'ask' in position ? position : undefined;
  }

  of(state: Uint8Array, who: number, field: number): number {
    return get(state, this.#at(who, field));
  }

  has(state: Uint8Array, who: number, field: number, bits: number): boolean {
    return has(state, this.#at(who, field), bits);
  }

  stand(next: Uint8Array, who: number, state: ParticipantState): void {
    put(next, this.#at(who, Of.stand), STATES.indexOf(state));
  }

  /** Answers a question, and goes on as far as nothing else happens. */
  answer(next: Uint8Array, who: number, position: Asking, answer: string): string {
    this.world.everybody.forEach((peer) => put(next, this.world.layout.heardAt(who, peer), Heard.nothing));
    return this.enter(next, who, follow(position, answer));
  }

  #vote(next: Uint8Array, who: number, { about }: Asking): string {
    const vote = about === 'commit' || about === 'abort' ? about : 'read-only';
    const said = { commit: Said.commit, abort: Said.abort, 'read-only': Said.readOnly }[vote];
    set(next, this.#at(who, Of.said), said);
    if (vote === 'commit') this.stand(next, who, 'uncertain');
    return `, and votes ${vote}`;
  }

  #work(state: Uint8Array, who: number, position: Asking, take: TakeStep): void {
    const { world } = this;
    const at = this.#at(who, Of.db);
    for (const { answer, event, db, kind = 'progress', broken } of deedsOf(world, position, get(state, at))) {
      const next = world.copied(state);
      put(next, at, db);
      if (answer === 'done' && position.ask === 'preCommit') this.stand(next, who, 'pre-committed');
      const more = this.answer(next, who, position, answer);
      take(next, kind, () => `${world.name(who)} ${event}${more}.`, broken);
      if (db === get(state, at)) continue;
      if (world.circumstances.completions === 'may be lost') {
        const lost = world.copied(state);
        put(lost, at, db);
        take(lost, 'fault', () => `${world.name(who)} ${event}, but the completion is lost.`, broken);
      }
      if (get(state, At.crashesLeft) > 0) {
        const crashed = world.spending(state, At.crashesLeft);
        put(crashed, at, db);
        set(crashed, this.#at(who, Of.trouble), Trouble.down | Trouble.crashed);
        take(crashed, 'fault', () => `${world.name(who)} ${event}, and crashes.`, broken);
      }
    }
  }

  /** What has been sent to it. In an asynchronous network it may come once more, or never. */
  #receive(state: Uint8Array, who: number, position: Asking, wanted: readonly number[], take: TakeStep): void {
    const { world } = this;
    const cut = this.has(state, who, Of.trouble, Trouble.cut);
    if (cut) return;
    for (const [bit, answer, event] of MESSAGES) {
      if (!wanted.includes(bit) || !this.has(state, who, Of.mail, bit)) continue;
      const next = world.copied(state);
      if (world.isSynchronous) unset(next, this.#at(who, Of.mail), bit);
      const more = this.answer(next, who, position, answer);
      take(next, world.isSynchronous ? 'progress' : 'fault', () => `${world.name(who)} ${event}${more}.`);
    }
  }

  #fallSilent(state: Uint8Array, who: number, position: Asking, take: TakeStep): void {
    const { world } = this;
    const isDue = !world.isSynchronous || this.hearsNothing(state, who);
    if (!isDue && get(state, At.lateLeft) === 0) return;
    const next = isDue ? world.copied(state) : world.spending(state, At.lateLeft);
    const more = this.answer(next, who, position, 'silence');
    const late = isDue ? '' : ', for a message is late';
    take(next, isDue ? 'progress' : 'fault', () => `${world.name(who)} has waited long enough${late}${more}.`);
  }

  /** In a synchronous network: whether no message of the coordinator can come any more. */
  hearsNothing(state: Uint8Array, who: number): boolean {
    if (this.has(state, who, Of.trouble, Trouble.cut)) return true;
    if (get(state, At.phase) !== Phase.Gone || this.has(state, who, Of.mail, OF_COORDINATOR)) return false;
    const { everybody, circumstances } = this.world;
    return circumstances.timersOutlast === 'its own messages' || !everybody.some((one) => this.#isBusy(state, one));
  }

  /** Whether something of the coordinator is under way to it, or being written down, and nothing stops it. */
  #isBusy(state: Uint8Array, who: number): boolean {
    if (this.has(state, who, Of.trouble, Trouble.down | Trouble.cut)) return false;
    const position = this.askingOf(state, who);
    return position?.ask === 'preCommit' || (position !== undefined && this.has(state, who, Of.mail, OF_COORDINATOR));
  }

  #readRegister(state: Uint8Array, who: number, position: Asking, take: TakeStep): void {
    const { world } = this;
    this.#receive(state, who, position, [Mail.commit, Mail.abort], take);
    if (get(state, At.registerDown) > 0) return;
    const next = world.copied(state);
    const found = registerOf(state);
    const more = this.answer(next, who, position, found);
    take(next, 'progress', () => `${world.name(who)} reads the register: ${found}${more}.`);
  }

  #decide(state: Uint8Array, who: number, position: Asking, take: TakeStep): void {
    const { world } = this;
    this.#receive(state, who, position, [Mail.commit, Mail.abort], take);
    const propose = decisionOf(position);
    const written = registering(world, state, propose);
    if (!written) return;
    const { decided, event, broken } = written;
    const next = world.copied(state);
    put(next, At.register, DECISIONS.indexOf(decided));
    const more = this.answer(next, who, position, decided);
    take(next, 'progress', () => `${world.name(who)} ${event}${more}.`, broken);
    if (world.circumstances.completions !== 'may be lost') return;
    const lost = world.copied(state);
    put(lost, At.register, DECISIONS.indexOf(decided));
    take(lost, 'fault', () => `${world.name(who)} ${event}, but the completion is lost.`, broken);
  }

  #at(who: number, field: number): number {
    return this.world.layout.at(who, field);
  }
}
