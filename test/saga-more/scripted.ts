/**
 * Participants without a database: they keep the rules of the branch log on a model in memory, and fail as a test tells them
 * to. What the model counts is the truth that a test compares the coordinator's report with.
 */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { BranchRequest, CompensateAnswer, ExecuteAnswer, QueryAnswer } from '../../src/protocol';
import type { Activities } from '../../src/testing';

/** What becomes of one attempt. */
export type Conduct =
  | 'answer'
  /** A business "no", kept in the log. */
  | 'refuse'
  /** The attempt is rolled back; another one may succeed. */
  | 'fail'
  /** The work is committed and the answer is lost on its way. */
  | 'lose-answer'
  /** Rolled back, and no other attempt could do better. */
  | 'break';

/** Decides by the number of the attempt, counted from 1 over all activities of the branch. */
type Script = (attempt: number) => Conduct | Promise<Conduct>;

export interface BranchScript {
  readonly execute?: Script;
  readonly compensate?: Script;
}

/** Fails a number of times, then answers. */
export const failing =
  (times: number): Script =>
  (attempt) =>
    attempt <= times ? 'fail' : 'answer';

/** Waits until `release` is called, then answers. `entered` resolves when the first attempt waits. */
export function gate(): { script: Script; entered: Promise<void>; release: () => void } {
  let enter = (): void => undefined;
  let release = (): void => undefined;
  const entered = new Promise<void>((done) => (enter = done));
  const released = new Promise<void>((done) => (release = done));
  const script = async (): Promise<Conduct> => {
    enter();
    await released;
    return 'answer';
  };
  return { script, entered, release };
}

type State = 'applied' | 'refused' | 'compensated' | 'fenced';

export interface Entry {
  readonly transaction: string;
  readonly branch: string;
  readonly what: 'applied' | 'undone';
}

const EXECUTE = 'execute';
const COMPENSATE = 'compensate';

export class ScriptedWorld {
  readonly #states = new Map<string, State>();
  readonly #scripts = new Map<string, BranchScript>();
  readonly #attempts = new Map<string, number>();
  /** Every effect and every undoing of one, in order. */
  readonly journal: Entry[] = [];
  /** Every request that reached a participant, as `<transaction> <branch>`. */
  readonly requests = new Set<string>();

  /** Sets how a branch behaves. Branches without a script answer. */
  script(transaction: string, branch: string, script: BranchScript): void {
    this.#scripts.set(key(transaction, branch), script);
  }

  /** What happened in a transaction: `+svc.debit`, `-svc.debit`. */
  story(transaction: string): string[] {
    return this.journal
      .filter((entry) => entry.transaction === transaction)
      .map(({ branch, what }) => `${what === 'applied' ? '+' : '-'}${branch}`);
  }

  /** The branches that are in effect. */
  inEffect(transaction: string): string[] {
    return [...this.#states].flatMap(([id, state]) =>
      state === 'applied' && id.startsWith(`${transaction} `) ? [id.slice(transaction.length + 1)] : [],
    );
  }

  attempts(transaction: string, branch: string, what: 'execute' | 'compensate' = EXECUTE): number {
    return this.#attempts.get(`${what} ${key(transaction, branch)}`) ?? 0;
  }

  /** The activities of a participant with these operations. */
  participant(operations: readonly string[]): Activities {
    const activities: Record<string, (request: BranchRequest) => Promise<unknown>> = {
      releaseLocks: async () => ({ released: 0 }),
    };
    for (const operation of operations) {
      activities[operation] = (request) => this.#execute(request);
      activities[`${operation}.compensate`] = (request) => this.#compensate(request);
      activities[`${operation}.query`] = (request) => this.#query(request);
    }
    return activities;
  }

  async #execute(request: BranchRequest): Promise<ExecuteAnswer> {
    const id = this.#arrive(request);
    const conduct = await this.#conduct(EXECUTE, id);
    switch (this.#states.get(id)) {
      case 'applied':
        return answering(conduct, { answer: 'applied-before', result: resultOf(request) });
      case 'refused':
        throw refusal();
      case 'compensated':
      case 'fenced':
        throw fenced();
      case undefined:
    }
    if (conduct === 'refuse') {
      this.#states.set(id, 'refused');
      throw refusal();
    }
    if (conduct === 'fail' || conduct === 'break') throw failure(conduct);
    this.#states.set(id, 'applied');
    this.journal.push({ transaction: request.transaction, branch: request.branch, what: 'applied' });
    return answering(conduct, { answer: 'applied', result: resultOf(request) });
  }

  async #compensate(request: BranchRequest): Promise<CompensateAnswer> {
    const id = this.#arrive(request);
    const conduct = await this.#conduct(COMPENSATE, id);
    if (conduct === 'fail' || conduct === 'break' || conduct === 'refuse') throw failure(conduct);
    switch (this.#states.get(id)) {
      case 'applied':
        this.#states.set(id, 'compensated');
        this.journal.push({ transaction: request.transaction, branch: request.branch, what: 'undone' });
        return answering(conduct, { answer: 'compensated' });
      case 'compensated':
        return answering(conduct, { answer: 'compensated-before' });
      case 'fenced':
      case 'refused':
        return answering(conduct, { answer: 'nothing-to-compensate' });
      case undefined:
        this.#states.set(id, 'fenced');
        return answering(conduct, { answer: 'nothing-to-compensate' });
    }
  }

  async #query(request: BranchRequest): Promise<QueryAnswer> {
    const id = this.#arrive(request);
    switch (this.#states.get(id)) {
      case 'applied':
        return { answer: 'applied', result: resultOf(request) };
      case 'refused':
        return { answer: 'refused', refusal: REFUSAL };
      case 'compensated':
      case 'fenced':
        return { answer: 'never-applied' };
      case undefined:
        this.#states.set(id, 'fenced');
        return { answer: 'never-applied' };
    }
  }

  #arrive({ transaction, branch }: BranchRequest): string {
    Context.current().heartbeat();
    const id = key(transaction, branch);
    this.requests.add(id);
    return id;
  }

  async #conduct(what: 'execute' | 'compensate', id: string): Promise<Conduct> {
    const attempt = (this.#attempts.get(`${what} ${id}`) ?? 0) + 1;
    this.#attempts.set(`${what} ${id}`, attempt);
    return (await this.#scripts.get(id)?.[what]?.(attempt)) ?? 'answer';
  }
}

const key = (transaction: string, branch: string): string => `${transaction} ${branch}`;

/** A participant's result tells whose it is, so that a test sees results mixed up. */
const resultOf = ({ transaction, branch }: BranchRequest): string => `${transaction}:${branch}`;

function answering<A>(conduct: Conduct, answer: A): A {
  if (conduct === 'answer') return answer;
  throw conduct === 'lose-answer'
    ? ApplicationFailure.create({ type: 'OperationFailed', message: 'The answer was lost.' })
    : failure(conduct);
}

const REFUSAL = { code: 'scripted', message: 'The script says no.' };

const refusal = (): ApplicationFailure =>
  ApplicationFailure.create({ type: 'Refusal', message: REFUSAL.message, nonRetryable: true, details: [REFUSAL] });

const fenced = (): ApplicationFailure =>
  ApplicationFailure.create({ type: 'BranchFenced', message: 'The branch was given up.', nonRetryable: true });

const failure = (conduct: Conduct): ApplicationFailure =>
  ApplicationFailure.create({
    type: 'OperationFailed',
    message: `The attempt failed (${conduct}).`,
    nonRetryable: conduct !== 'fail',
  });
