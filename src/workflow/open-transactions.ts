/**
 * The transactions that were begun and have not ended. Whoever has begun them, a workflow function, the body of a saga or a try of a
 * free-form step, ends after them: where it fails they are turned back first, and else each of them comes to its end. Once a workflow is
 * closed nobody would undo or finish what they have done.
 */
import { CancellationScope, condition, patched } from '@temporalio/workflow';

/** A transaction, for whoever has begun it. */
export class OpenTransaction {
  #withdraw: () => void = () => undefined;
  #isWithdrawn = false;

  constructor(readonly begunBy: OpenTransactions) {
    begunBy.add(this);
  }

  /** Says what turns it back, as far as there is a way back. */
  whenWithdrawn(withdraw: () => void): void {
    this.#withdraw = withdraw;
    if (this.#isWithdrawn) withdraw();
  }

  withdraw(): void {
    this.#isWithdrawn = true;
    this.#withdraw();
  }

  end(): void {
    this.begunBy.remove(this);
  }
}

export class OpenTransactions {
  /** With those that were begun inside of others. */
  readonly #open = new Set<OpenTransaction>();
  #isOver = false;
  #turnsBack = false;

  constructor(
    /** Those that this is a part of. */
    private readonly whole?: OpenTransactions,
  ) {}

  /**
   * Whether there is anybody to wait for. To be asked only at the end of whoever has begun them: it leaves a marker in the history where there
   * is, because the version before did not wait. What that did is replayed as it was.
   */
  get areOpen(): boolean {
    return this.#open.size > 0 && patched('temporal-txn-ends-last');
  }

  /** Whether whoever has begun them waits for nothing but their ends. */
  get isOver(): boolean {
    return this.#isOver;
  }

  add(one: OpenTransaction): void {
    this.#open.add(one);
    this.whole?.add(one);
    if (this.#turnsBack && one.begunBy === this) one.withdraw();
  }

  remove(one: OpenTransaction): void {
    this.#open.delete(one);
    this.whole?.remove(one);
  }

  /**
   * Waits for all of them, however long that takes, and for those that are begun meanwhile. Looked at when everything else in a turn has been
   * done: who hears of the end of one may begin another one.
   */
  async untilEnded(): Promise<void> {
    this.#isOver = true;
    await CancellationScope.nonCancellable(() => condition(() => this.#open.size === 0));
  }

  /** The same, where whoever has begun them has failed. Those inside of others are left to those. */
  async untilTurnedBack(): Promise<void> {
    this.#turnsBack = true;
    for (const one of this.#open) if (one.begunBy === this) one.withdraw();
    await this.untilEnded();
  }
}

// One slot, also where a bundle has loaded this package twice.
const slot = globalThis as { [key: symbol]: OpenTransactions | undefined };
const OF_WORKFLOW = Symbol.for('temporal-txn.open-transactions');

/** Those of the workflow function. Undefined where nobody waits for them: the bundle was made without `workflow-interceptors.ts`. */
export const openInWorkflow = (): OpenTransactions | undefined => slot[OF_WORKFLOW];

/** Has somebody wait for them. */
export const watchWorkflow = (): OpenTransactions => (slot[OF_WORKFLOW] = new OpenTransactions());
