/** A world whose every activity can be met before it does anything and after it has: the places at which a test interferes. */
import type { BranchRequest } from '../../src/protocol';
import type { Activities } from '../../src/testing';
import { ScriptedWorld } from '../saga-more/scripted';

/** `before bank.debit`, `after undo bank.debit`, … */
export type Place = string;

export class WatchedWorld {
  readonly world = new ScriptedWorld();
  readonly #meetings = new Map<string, () => Promise<void>>();
  readonly #running = new Map<string, number>();
  /** The branches whose compensation began while an attempt of their action was running. There must be none. */
  readonly overtaken: string[] = [];

  /** Does something once, when a transaction comes to this place. The activity waits for it. */
  meet(transaction: string, place: Place, act: () => Promise<void>): void {
    this.#meetings.set(`${transaction} ${place}`, act);
  }

  participant(operations: readonly string[]): Activities {
    const activities = Object.entries(this.world.participant(operations));
    return Object.fromEntries(
      activities.map(([type, run]) => [
        type,
        // Cast: each of them takes a branch request.
        (request: BranchRequest) => this.#watch(type, request, run as (request: BranchRequest) => Promise<unknown>),
      ]),
    );
  }

  async #watch(type: string, request: BranchRequest, run: (request: BranchRequest) => Promise<unknown>) {
    const { transaction, branch } = request;
    const undoing = type.endsWith('.compensate');
    const what = undoing ? `undo ${branch}` : branch;
    const key = `${transaction} ${branch}`;
    if (undoing && (this.#running.get(key) ?? 0) > 0) this.overtaken.push(key);
    if (!undoing) this.#running.set(key, (this.#running.get(key) ?? 0) + 1);
    try {
      await this.#pass(transaction, `before ${what}`);
      const answer = await run(request).catch((error: unknown) => error);
      await this.#pass(transaction, `after ${what}`);
      if (answer instanceof Error) throw answer;
      return answer;
    } finally {
      if (!undoing) this.#running.set(key, (this.#running.get(key) ?? 0) - 1);
    }
  }

  async #pass(transaction: string, place: Place): Promise<void> {
    const key = `${transaction} ${place}`;
    const act = this.#meetings.get(key);
    this.#meetings.delete(key);
    await act?.();
  }
}
