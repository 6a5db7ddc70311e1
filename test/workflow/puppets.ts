/** Participants on strings: they answer word for word what a test says, so that a saga meets answers that are rare. */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { BranchRequest, CompensateAnswer, ExecuteAnswer, QueryAnswer } from '../../src/protocol';
import type { Activities } from '../../src/testing';

type Answers = ExecuteAnswer | CompensateAnswer | QueryAnswer;
/** An answer, or what the attempt does before it gives one. */
export type Line = Answers | Error | (() => Promise<Answers>);

const OPERATIONS = ['reserve', 'debit', 'credit', 'send'];

export class Puppets {
  readonly #lines = new Map<string, Line[]>();
  readonly #asked = new Map<string, string[]>();

  /**
   * Sets what is answered to `bank.debit`, `undo bank.debit` or `ask bank.debit`: each line once, the last one for ever.
   * Without a line the answer is the one of a day on which all goes well.
   */
  say(transaction: string, question: string, ...lines: Line[]): void {
    this.#lines.set(`${transaction} ${question}`, lines);
  }

  /** Every question, in the order in which they came. */
  asked(transaction: string): readonly string[] {
    return this.#asked.get(transaction) ?? [];
  }

  activities(participant: string): Activities {
    const activities: Record<string, (request: BranchRequest) => Promise<unknown>> = {
      releaseLocks: async ({ transaction }) => this.#note(transaction, `release ${participant}`),
    };
    for (const operation of OPERATIONS) {
      activities[operation] = (request) =>
        this.#answer(request, request.branch, { answer: 'applied', result: request.branch });
      activities[`${operation}.compensate`] = (request) =>
        this.#answer(request, `undo ${request.branch}`, { answer: 'compensated' });
      activities[`${operation}.query`] = (request) =>
        this.#answer(request, `ask ${request.branch}`, { answer: 'never-applied' });
    }
    return activities;
  }

  async #answer({ transaction }: BranchRequest, question: string, usual: Answers): Promise<Answers> {
    this.#note(transaction, question);
    const lines = this.#lines.get(`${transaction} ${question}`) ?? [];
    const line = (lines.length > 1 ? lines.shift() : lines[0]) ?? usual;
    if (line instanceof Error) throw line;
    // A worker that is stopped must not wait for an answer that a failed test will never give.
    return typeof line === 'function' ? Promise.race([line(), Context.current().cancelled]) : line;
  }

  #note(transaction: string, question: string): void {
    this.#asked.set(transaction, [...this.asked(transaction), question]);
  }
}

const failure = (type: string, message: string, ...details: unknown[]): ApplicationFailure =>
  ApplicationFailure.nonRetryable(message, type, ...details);

/** The answers that a participant gives as failures. */
export const refusal = failure('Refusal', 'Not today.', { code: 'not-today', message: 'Not today.' });
export const mismatch = failure('InputMismatch', 'The branch exists with another input.');
export const broken = failure('OperationFailed', 'The operation is broken.');
export const lost = failure('OperationFailed', 'The answer was lost.');
