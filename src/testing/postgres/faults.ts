/**
 * What can befall a statement between a client and PostgreSQL, and the choice of the statement that it befalls: by its text and by
 * its passage, as crash points are.
 */
import type { Answer } from './wire';

export type Fault =
  /** The connection is cut before the statement reaches the server. */
  | { readonly kind: 'kill-before' }
  /** The server finishes with the statement; its answer is dropped and the connection cut: the lost acknowledgement. */
  | { readonly kind: 'kill-after' }
  /** The statement is held, and then passed on. */
  | {
      readonly kind: 'delay';
      readonly ms: number;
      /** Whether it is passed on even if the client has gone meanwhile: a late statement, a zombie. @default true */
      readonly evenIfGone?: boolean;
    }
  /** The statement is passed on at once, its answer held. */
  | { readonly kind: 'delay-answer'; readonly ms: number }
  /** The statement is passed on, and the server asked to cancel it until it has finished: it wins only if it is quick. */
  | { readonly kind: 'cancel' }
  /** A gate: the statement, or with `after` its answer, is passed on when the callback is through. */
  | {
      readonly kind: 'call';
      /** @default 'before' */
      readonly when?: 'before' | 'after';
      /** If it fails, the connection is cut, and `over` of the fault fails with the same error. */
      readonly call: (struck: StruckStatement) => Promise<unknown>;
    };

export interface StruckStatement {
  readonly statement: string;
  /** How the server answered; undefined as long as it has not. */
  readonly answer: Answer | undefined;
}

export interface Injection {
  /** Which statements: tried on the text of a Query, or of a statement that is bound in the extended protocol. */
  readonly statement: RegExp;
  readonly fault: Fault;
  /** At which passage of such a statement, counted from 1 over all connections. Others are left alone. @default 1 */
  readonly passage?: number | 'every';
}

/** A fault that waits for its statement. */
export interface InjectedFault {
  /** The (first) statement has been struck: it is at the proxy, and what is to befall it begins. */
  readonly struck: Promise<void>;
  /** The (first) struck statement is through: its answer passed on, or its connection gone. */
  readonly over: Promise<void>;
  /** How many of such statements have come by since the injection, struck or not. */
  readonly count: number;
  /** How the server answered the statement that was struck last, whether or not the client has learnt it. */
  readonly answer: Answer | undefined;
  /** Leaves alone all that comes from now on. */
  remove(): void;
}

/** One fault on its way with one statement. */
export interface Strike {
  readonly fault: Fault;
  readonly statement: string;
  answered(answer: Answer): void;
  /** The statement is through. Only the first call counts. */
  end(error?: unknown): void;
}

/** Whether the answer must wait until the server has finished. */
export function holdsAnswer({ fault }: Strike): boolean {
  return (
    fault.kind === 'kill-after' || fault.kind === 'delay-answer' || (fault.kind === 'call' && fault.when === 'after')
  );
}

/** The faults that are injected. */
export class Faults {
  readonly #armed = new Set<ArmedFault>();

  add(injection: Injection): InjectedFault {
    const fault = new ArmedFault(injection, () => this.#armed.delete(fault));
    this.#armed.add(fault);
    return fault;
  }

  /** Counts a statement's passage, and answers what befalls it: in the order of injection, if several do. */
  strike(statement: string): Strike[] {
    return [...this.#armed].map((fault) => fault.pass(statement)).filter((strike) => strike !== undefined);
  }

  clear(): void {
    this.#armed.clear();
  }
}

class ArmedFault implements InjectedFault {
  readonly #struck = deferred();
  readonly #over = deferred();
  #count = 0;
  #answer: Answer | undefined;

  constructor(
    private readonly injection: Injection,
    private readonly disarm: () => void,
  ) {}

  get struck(): Promise<void> {
    return this.#struck.promise;
  }

  get over(): Promise<void> {
    return this.#over.promise;
  }

  get count(): number {
    return this.#count;
  }

  get answer(): Answer | undefined {
    return this.#answer;
  }

  remove(): void {
    this.disarm();
  }

  pass(statement: string): Strike | undefined {
    const { fault, statement: pattern, passage = 1 } = this.injection;
    // Not test(): with the flag g it would go on from where the last match ended.
    if (statement.search(pattern) === -1) return undefined;
    this.#count++;
    if (passage !== 'every' && passage !== this.#count) return undefined;
    this.#answer = undefined;
    this.#struck.resolve();
    return {
      fault,
      statement,
      answered: (answer) => {
        this.#answer = answer;
      },
      end: (error) => {
        if (error === undefined) this.#over.resolve();
        else this.#over.reject(error);
      },
    };
  }
}

interface Deferred {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

function deferred(): Deferred {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Nobody has to wait for it: a failure that is not looked at must not end the process.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
