/**
 * A branch's database as PostgreSQL behaves: what it answers to each question of the programs, and what that changes.
 *
 * A row that is inserted and not committed, by an open or a prepared transaction, blocks every other insert of its key. A
 * prepared transaction survives the session that prepared it; an open one does not. COMMIT PREPARED makes the row and the work
 * visible in one step.
 */
import type { Decision } from '../../src/protocol';
import type { AnswerTo, Position, QuestionName } from './automaton';
import { At, at, Bit, bitsAt, DECISIONS, get, has, Of, put, ROWS, set, Slot, unset } from './state';
import type { World } from './world';

export interface Reply {
  readonly answer: AnswerTo<QuestionName>;
  /** In words. */
  readonly event: string;
  /** It uses up one of the moods: a refusal, or a statement that fails. */
  readonly mood?: true;
  readonly broken?: string | undefined;
}

type Question = Extract<Position, { readonly ask: QuestionName }>;

const NONE = 0;
const APPLIED = 1;
const REFUSED = 2;
const FENCED = 3;
const ALL = 0xff;

export class Databases {
  constructor(private readonly world: World) {}

  /** Gives every answer that is possible, with the state after it. The state is overwritten by the next one. */
  ask(
    state: Uint8Array,
    branch: number,
    slot: number,
    question: Question,
    give: (reply: Reply, next: Uint8Array) => void,
  ): void {
    const next = this.world.copied(state);
    const bits = bitsAt(branch, slot);
    const row = at(branch, Of.row);
    const reply = (answer: AnswerTo<QuestionName>, event: string, more?: Pick<Reply, 'mood' | 'broken'>): void => {
      give({ answer, event, ...more }, next);
      next.set(state);
    };
    switch (question.ask) {
      case 'fence':
        return this.#fence(next, branch, slot, reply);
      case 'look': {
        const found = ROWS[get(state, row)] ?? 'none';
        return reply(found, found === 'none' ? 'reads the branch log: no row' : `reads its committed row: ${found}`);
      }
      case 'findPrepared':
        return has(state, at(branch, Of.prepared), this.#gid(state, branch, slot))
          ? reply('ours', 'finds its gid in pg_prepared_xacts')
          : reply('none', 'does not find its gid in pg_prepared_xacts');
      case 'register': {
        const decision = branch === 0 ? (DECISIONS[get(state, At.register)] ?? 'none') : 'none';
        return reply(decision, branch === 0 ? `reads the register: ${decision}` : 'has no register to read');
      }
      case 'work':
        return this.#work(state, next, bits, reply);
      case 'prepare':
        return this.#prepare(state, next, branch, slot, reply);
      case 'rollback':
        unset(next, bits, Bit.open | Bit.failed);
        return reply('done', 'rolls back');
      case 'refuse':
      case 'tombstone': {
        const [inserted, value, event] =
          question.ask === 'refuse'
            ? (['stored', REFUSED, 'commits a row that says "refused"'] as const)
            : (['inserted', FENCED, 'commits a row that fences the branch off'] as const);
        if (get(state, row) !== NONE) return reply('taken', 'inserts a row and finds one there');
        if (this.#blocked(state, branch, slot))
          return reply('blocked', 'inserts a row and is blocked by another transaction');
        put(next, row, value);
        return reply(inserted, event);
      }
      case 'commitPrepared': {
        const gids = get(state, at(branch, Of.prepared));
        if (gids === 0) return reply('unknown', 'sends COMMIT PREPARED: 42704, no such gid');
        put(next, at(branch, Of.prepared), 0);
        put(next, at(branch, Of.effects), get(state, at(branch, Of.effects)) + (gids === 3 ? 2 : 1));
        put(next, row, APPLIED);
        return reply('done', 'sends COMMIT PREPARED, and the work takes effect');
      }
      case 'rollbackPrepared':
        if (get(state, at(branch, Of.prepared)) === 0)
          return reply('unknown', 'sends ROLLBACK PREPARED: 42704, no such gid');
        put(next, at(branch, Of.prepared), 0);
        return reply('done', 'sends ROLLBACK PREPARED, and the work is undone');
      case 'transactionStatus': {
        const status =
          get(state, at(branch, Of.prepared)) !== 0
            ? 'in progress'
            : get(state, at(branch, Of.effects)) > 0
              ? 'committed'
              : 'unknown';
        return reply(status, `asks what became of the transaction: ${status}`);
      }
      case 'decide':
        return this.#decide(state, next, question.propose ?? 'abort', reply);
    }
  }

  #fence(next: Uint8Array, branch: number, slot: number, reply: Answering<'fence'>): void {
    const row = get(next, at(branch, Of.row));
    const bits = bitsAt(branch, slot);
    if (this.world.mechanisms.fence === 'excludes nobody') {
      set(next, bits, Bit.open);
      return reply('inserted', 'begins a transaction, with nothing that excludes other attempts');
    }
    if (row !== NONE && this.world.mechanisms.gid === 'of the branch')
      return reply('taken', 'inserts its row and finds one committed under the key');
    if (this.#blocked(next, branch, slot))
      return reply('blocked', 'inserts its row and is blocked by another transaction');
    set(next, bits, Bit.open);
    if (this.world.mechanisms.fence === 'before the work') {
      put(next, at(branch, Of.row), APPLIED);
      return reply('inserted', 'commits its row, and begins a transaction for the work');
    }
    return reply('inserted', 'begins a transaction and inserts its row');
  }

  #work(state: Uint8Array, next: Uint8Array, bits: number, reply: Answering<'work'>): void {
    reply('done', 'does the work');
    if (get(state, At.moodsLeft) === 0) return;
    reply('refused', 'refuses: the account has too little', { mood: true });
    set(next, bits, Bit.failed);
    reply('done', 'does the work and swallows the error of a statement that failed', { mood: true });
  }

  #prepare(state: Uint8Array, next: Uint8Array, branch: number, slot: number, reply: Answering<'prepare'>): void {
    const bits = bitsAt(branch, slot);
    const prepared = at(branch, Of.prepared);
    const gid = this.#gid(state, branch, slot);
    unset(next, bits, Bit.open | Bit.failed);
    if (has(state, bits, Bit.failed))
      return reply('ROLLBACK', 'sends PREPARE TRANSACTION: it succeeds, says ROLLBACK, and has prepared nothing');
    if (has(state, prepared, gid)) return reply('refused', 'sends PREPARE TRANSACTION: 42710, the gid is in use');
    if (get(state, At.moodsLeft) > 0) {
      reply('refused', 'sends PREPARE TRANSACTION: a deferred constraint does not hold', { mood: true });
      unset(next, bits, Bit.open | Bit.failed);
    }
    set(next, prepared, gid);
    reply('PREPARE', 'sends PREPARE TRANSACTION, and the work is prepared');
  }

  #decide(state: Uint8Array, next: Uint8Array, propose: Decision, reply: Answering<'decide'>): void {
    const written = DECISIONS[get(state, At.register)] ?? 'none';
    const { register } = this.world.mechanisms;
    if (register === 'none') return reply(propose, `decides ${propose}, and nobody writes it down`);
    if (written !== 'none' && register === 'written once')
      return reply(written, `asks the register to ${propose} and reads ${written}, which was decided before`);
    put(next, At.register, DECISIONS.indexOf(propose));
    const { kinds, branches, circumstances } = this.world;
    const allPrepared = branches.every(
      (branch) =>
        kinds[branch] === 'read-only' ||
        has(state, at(branch, Of.prepared), ALL) ||
        has(state, at(branch, Of.effects), ALL),
    );
    const broken =
      written !== 'none' && written !== propose
        ? 'the decision changed'
        : propose === 'commit' && !allPrepared && circumstances.hands === 0
          ? 'commit was decided while a branch was not prepared'
          : undefined;
    reply(propose, `writes ${propose} into the register`, { broken });
  }

  /** Whether a transaction that is not committed holds the key of the branch. */
  #blocked(state: Uint8Array, branch: number, slot: number): boolean {
    const { fence, gid } = this.world.mechanisms;
    // A key that is different for each attempt is held by nobody else.
    if (fence !== 'with the work' || gid === 'of the attempt') return false;
    if (get(state, at(branch, Of.prepared)) !== 0) return true;
    return (
      (slot !== Slot.preparing && has(state, bitsAt(branch, Slot.preparing), Bit.open)) ||
      (slot !== Slot.givenUp && has(state, bitsAt(branch, Slot.givenUp), Bit.open))
    );
  }

  #gid(state: Uint8Array, branch: number, slot: number): number {
    return this.world.mechanisms.gid === 'of the attempt' && has(state, bitsAt(branch, slot), Bit.second) ? 2 : 1;
  }
}

type Answering<Name extends QuestionName> = (
  answer: AnswerTo<Name>,
  event: string,
  more?: Pick<Reply, 'mood' | 'broken'>,
) => void;
