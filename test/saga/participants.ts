/**
 * Participants in memory. They answer by the rules of the branch log, which has its own tests with PostgreSQL, behave as a
 * test orders, and write down what happened in which order.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { BranchRequest, CompensateAnswer, ExecuteAnswer, QueryAnswer, Refusal } from '../../src/protocol';
import type { Activities } from '../../src/testing';

/** What an attempt does. */
export type Behaviour =
  /** What it should. */
  | 'work'
  /** The same, and leaves a semantic lock. */
  | 'work and lock'
  | 'refuse'
  /** Fails before it did anything; trying again may help. */
  | 'fail'
  /** The same, for so long that trying again at once would make days of it a long test. */
  | 'be down'
  /** Fails before it did anything; trying again cannot help. Proves nothing to the coordinator all the same. */
  | 'fail for good'
  /** Takes effect, and the answer is an error that proves nothing. */
  | 'work, answer lost'
  /** Takes effect, and never answers. */
  | 'work, then hang'
  /** Does nothing until it is cancelled, then ends as cancelled. */
  | 'hang'
  /** Runs until it is cancelled, then takes some more time to end, and does take effect. */
  | 'end late'
  /** Waits for the gate, whatever the coordinator says meanwhile, then works. */
  | 'wait for the gate'
  | 'wait for the gate, then refuse';

/** By branch, `undo <branch>` or `ask <branch>`: what its attempts do, the last one for ever. */
export type Behaviours = Readonly<Record<string, Behaviour | readonly Behaviour[]>>;

type Row =
  | { readonly state: 'applied'; readonly result: unknown; readonly locks: boolean }
  | { readonly state: 'refused'; readonly refusal: Refusal }
  | { readonly state: 'fenced'; readonly undone?: true };

const OPERATIONS = ['reserve', 'debit', 'credit', 'book', 'send'];

class Gate {
  open: () => void = () => undefined;
  readonly passed = new Promise<void>((resolve) => (this.open = resolve));
}

export class Participants {
  readonly #rows = new Map<string, Row>();
  readonly #behaviours = new Map<string, Behaviours>();
  readonly #attempts = new Map<string, number>();
  readonly #logs = new Map<string, string[]>();
  #gate = new Gate();
  readonly #running = new Set<Promise<unknown>>();

  /** From now on the participants treat this transaction so. */
  behave(transaction: string, behaviours: Behaviours): void {
    this.#behaviours.set(transaction, { ...this.#behaviours.get(transaction), ...behaviours });
  }

  /** What happened to a transaction: beginnings, effects and ends of its attempts. */
  log(transaction: string): readonly string[] {
    return this.#logs.get(transaction) ?? [];
  }

  /** Only the effects, in their order: `bank.debit`, `undo bank.debit`. */
  effects(transaction: string): string[] {
    return this.log(transaction)
      .filter((line) => line.endsWith(' takes effect'))
      .map((line) => line.replace(' takes effect', ''));
  }

  /** Waits until the log of a transaction has a line. */
  async seen(transaction: string, line: string, times = 1): Promise<void> {
    while (this.log(transaction).filter((each) => each === line).length < times) await wait(5);
  }

  /** Lets those go on that wait for the gate, and waits until they have ended. */
  async openGate(): Promise<void> {
    this.#gate.open();
    this.#gate = new Gate();
    await Promise.allSettled(this.#running);
  }

  /** What the worker of a participant registers. */
  activities(participant: string): Activities {
    const activities: Record<string, (request: BranchRequest) => Promise<unknown>> = {
      releaseLocks: async ({ transaction }) => this.#note(transaction, `locks at ${participant} are released`),
    };
    for (const operation of OPERATIONS) {
      activities[operation] = (request) =>
        this.#attempt(request, request.branch, (behaviour) => this.#execute(request, behaviour));
      activities[`${operation}.compensate`] = (request) =>
        this.#attempt(request, `undo ${request.branch}`, () => this.#compensate(request));
      activities[`${operation}.query`] = (request) =>
        this.#attempt(request, `ask ${request.branch}`, () => this.#query(request));
    }
    return activities;
  }

  #attempt<T>(request: BranchRequest, what: string, work: (behaviour: Behaviour) => T): Promise<T> {
    const running = this.#perform(request, what, work);
    this.#running.add(running);
    const forget = (): void => void this.#running.delete(running);
    running.then(forget, forget);
    return running;
  }

  async #perform<T>({ transaction }: BranchRequest, what: string, work: (behaviour: Behaviour) => T): Promise<T> {
    this.#note(transaction, `${what} begins`);
    const beat = setInterval(() => Context.current().heartbeat(), 100);
    try {
      const behaviour = this.#behaviourOf(transaction, what);
      return await this.#act(behaviour, what, () => work(behaviour));
    } finally {
      clearInterval(beat);
      this.#note(transaction, `${what} ends`);
    }
  }

  async #act<T>(behaviour: Behaviour, what: string, work: () => T): Promise<T> {
    switch (behaviour) {
      case 'work':
      case 'work and lock':
      case 'refuse':
        return work();
      case 'fail':
        throw ApplicationFailure.retryable(`${what} failed`, 'OperationFailed');
      case 'be down':
        throw ApplicationFailure.create({
          message: `${what} is down`,
          type: 'OperationFailed',
          nextRetryDelay: '59 min',
        });
      case 'fail for good':
        throw ApplicationFailure.nonRetryable(`${what} failed for good`, 'OperationFailed');
      case 'work, answer lost':
        work();
        throw ApplicationFailure.nonRetryable(`the answer of ${what} was lost`, 'OperationFailed');
      case 'work, then hang':
        work();
        return Context.current().cancelled;
      case 'hang':
        return Context.current().cancelled;
      case 'end late':
        await Context.current().cancelled.catch(() => wait(200));
        return work();
      case 'wait for the gate':
      case 'wait for the gate, then refuse':
        await this.#gate.passed;
        return work();
    }
  }

  #behaviourOf(transaction: string, what: string): Behaviour {
    const key = `${transaction} ${what}`;
    const attempt = (this.#attempts.get(key) ?? 0) + 1;
    this.#attempts.set(key, attempt);
    const ordered = this.#behaviours.get(transaction)?.[what] ?? 'work';
    return typeof ordered === 'string' ? ordered : (ordered[attempt - 1] ?? ordered.at(-1) ?? 'work');
  }

  #execute({ transaction, branch }: BranchRequest, behaviour: Behaviour): ExecuteAnswer {
    const key = `${transaction} ${branch}`;
    const known = this.#rows.get(key);
    switch (known?.state) {
      case 'fenced':
        this.#note(transaction, `${branch} came too late`);
        throw ApplicationFailure.nonRetryable(`${branch} came too late`, 'BranchFenced');
      case 'refused':
        throw refused(known.refusal);
      case 'applied':
        return { answer: 'applied-before', result: known.result, ...(known.locks ? { locks: true } : {}) };
      case undefined:
        break;
    }
    if (behaviour === 'refuse' || behaviour === 'wait for the gate, then refuse') {
      const refusal = { code: 'not-today', message: `${branch} is not possible today` };
      this.#rows.set(key, { state: 'refused', refusal });
      throw refused(refusal);
    }
    const locks = behaviour === 'work and lock';
    const result = `${branch} by attempt ${this.#attempts.get(key)}`;
    this.#rows.set(key, { state: 'applied', result, locks });
    this.#note(transaction, `${branch} takes effect`);
    return { answer: 'applied', result, ...(locks ? { locks: true } : {}) };
  }

  #compensate({ transaction, branch }: BranchRequest): CompensateAnswer {
    const key = `${transaction} ${branch}`;
    const known = this.#rows.get(key);
    if (known?.state === 'fenced' && known.undone) return { answer: 'compensated-before' };
    if (known?.state !== 'applied') {
      this.#rows.set(key, known ?? { state: 'fenced' });
      return { answer: 'nothing-to-compensate' };
    }
    this.#rows.set(key, { state: 'fenced', undone: true });
    this.#note(transaction, `undo ${branch} takes effect`);
    return { answer: 'compensated' };
  }

  #query({ transaction, branch }: BranchRequest): QueryAnswer {
    const key = `${transaction} ${branch}`;
    const known = this.#rows.get(key);
    switch (known?.state) {
      case 'applied':
        return { answer: 'applied', result: known.result };
      case 'refused':
        return { answer: 'refused', refusal: known.refusal };
      case 'fenced':
      case undefined:
        this.#rows.set(key, { state: 'fenced' });
        return { answer: 'never-applied' };
    }
  }

  #note(transaction: string, line: string): void {
    const log = this.#logs.get(transaction) ?? [];
    log.push(line);
    this.#logs.set(transaction, log);
  }
}

const refused = (refusal: Refusal): ApplicationFailure =>
  ApplicationFailure.create({
    type: 'Refusal',
    message: refusal.message,
    nonRetryable: true,
    details: [refusal],
  });
