/**
 * Participants without a database: they keep the rules of prepared transactions and of a write-once register on a model in
 * memory, and say word for word something else where a test wants them to.
 */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type {
  AbortReason,
  Ack,
  BranchRequest,
  DecideAnswer,
  DecideRequest,
  Decided,
  Decision,
  FinishRequest,
  PrepareAnswer,
  PrepareRequest,
} from '../../src/protocol';
import type { Activities } from '../../src/testing';

type Usual = () => Promise<unknown>;
/** An answer, a failure, or what the attempt does instead of the usual. */
export type Line = object | Error | ((usual: Usual, request: BranchRequest) => Promise<unknown>);

export type State = 'prepared' | 'committed' | 'rolled-back' | 'read-only';

/** What a branch that is not ours was told. */
export interface Told {
  readonly workflow: string;
  readonly transaction: string;
  readonly branch: string;
  readonly token: string;
  readonly decision?: Decision;
}

/** What happens at the n-th question of a transaction. */
export interface Interruption {
  readonly at: number;
  readonly when: 'before' | 'after';
  readonly act: () => Promise<unknown>;
}

interface Proposal {
  readonly transaction: string;
  readonly propose: Decision;
  readonly reason?: AbortReason;
}

const OPERATIONS = ['debit', 'credit', 'record', 'reserve', 'ship', 'work', 'place'];

export class ModelParticipants {
  readonly #lines = new Map<string, Line[]>();
  readonly #asked = new Map<string, string[]>();
  readonly #interruptions = new Map<string, Interruption>();
  readonly #requests = new Map<string, PrepareRequest>();
  readonly #told = new Map<string, Told>();
  readonly #states = new Map<string, State>();
  /** @param rules `abortsAlone`: a branch that has not voted `commit` may be aborted before anything is decided */
  constructor(private readonly rules: { readonly abortsAlone?: boolean } = {}) {}

  /** What may not happen: a branch that committed and rolled back, or twice. */
  readonly breaches: string[] = [];
  /** Every branch that took effect, as `<transaction> <branch>`. */
  readonly effects: string[] = [];
  /** What is decided, by transaction: written once. */
  readonly register = new Map<string, Decided>();
  /** Branches that are pre-committed, as `<transaction> <branch>`. */
  readonly preCommitted = new Set<string>();
  /** Every `decide` that arrived, by transaction. */
  readonly proposals = new Map<string, DecideRequest[]>();

  /**
   * Sets what is done when a branch is asked `prepare north.debit`, `decide …`, `commit …`, `abort …`, `execute …`,
   * `query …`, `ask …`, `tell …`, `try …`, `confirm …`, `cancel …`: each line once, the last one for ever. Without a line it does as it should.
   */
  say(transaction: string, question: string, ...lines: Line[]): void {
    this.#lines.set(`${transaction} ${question}`, lines);
  }

  /** Does something when so many questions of a transaction have come, before the last of them is answered or after. */
  interrupt(transaction: string, interruption: Interruption): void {
    this.#interruptions.set(transaction, interruption);
  }

  /** Every question, in the order in which they came. */
  asked(transaction: string): readonly string[] {
    return this.#asked.get(transaction) ?? [];
  }

  /** The request to prepare that a branch had, with its token. */
  request(transaction: string, branch: string): PrepareRequest {
    const request = this.#requests.get(`${transaction} ${branch}`);
    if (!request) throw new Error(`${branch} of ${transaction} has not been asked.`);
    return request;
  }

  /** What a branch that is not ours was told last. */
  told(transaction: string, branch: string): Told {
    const told = this.#told.get(`${transaction} ${branch}`);
    if (!told) throw new Error(`${branch} of ${transaction} has not been told.`);
    return told;
  }

  hasBeenTold(transaction: string, branch: string): boolean {
    return this.#told.has(`${transaction} ${branch}`);
  }

  state(transaction: string, branch: string): State | 'none' {
    return this.#states.get(`${transaction} ${branch}`) ?? 'none';
  }

  /** By branch. */
  states(transaction: string): Record<string, State> {
    const own = [...this.#states].filter(([key]) => key.startsWith(`${transaction} `));
    return Object.fromEntries(own.map(([key, state]) => [key.slice(transaction.length + 1), state]));
  }

  /** What somebody does by hand, or a failover. */
  set(transaction: string, branch: string, state: State | 'none'): void {
    if (state === 'none') this.#states.delete(`${transaction} ${branch}`);
    else this.#states.set(`${transaction} ${branch}`, state);
  }

  activities(): Activities {
    const activities: Record<string, (request: never) => Promise<unknown>> = {
      releaseLocks: async () => undefined,
      // Whoever falls silent here stays so: what else there is has tests of its own.
      'participant.health': async () => ({ status: 'unhealthy', reason: 'It is a model.' }),
    };
    for (const operation of OPERATIONS) {
      activities[operation] = (request: BranchRequest) =>
        this.#answer('execute', request, () => this.#execute(request));
      activities[`${operation}.query`] = (request: BranchRequest) =>
        this.#answer('query', request, async () =>
          this.state(request.transaction, request.branch) === 'committed'
            ? { answer: 'applied', result: request.branch }
            : { answer: 'never-applied' },
        );
      activities[`${operation}.compensate`] = (request: BranchRequest) =>
        this.#answer('compensate', request, async () => ({ answer: 'compensated' }));
      activities[`${operation}.preCommit`] = (request: FinishRequest) =>
        this.#answer('preCommit', request, async () => this.#preCommit(request));
      activities[`${operation}.prepare`] = (request: PrepareRequest) => this.#voted(request);
      activities[`${operation}.try`] = (request: PrepareRequest) => this.#voted(request, 'try');
      activities[`${operation}.confirm`] = (request: FinishRequest) =>
        this.#answer('confirm', request, async () => this.#finish(request, 'commit'));
      activities[`${operation}.cancel`] = (request: FinishRequest) =>
        this.#answer('cancel', request, async () => this.#finish(request, 'abort'));
      activities[`${operation}.decide`] = (request: DecideRequest) =>
        this.#answer('decide', request, () => this.#decide(request));
      for (const decision of ['commit', 'abort'] as const)
        activities[`${operation}.${decision}`] = (request: FinishRequest) =>
          this.#answer(decision, request, async () => this.#finish(request, decision));
    }
    return activities;
  }

  /** Branches that are not ours. */
  partner(): Activities {
    const told = async (question: string, request: Told): Promise<unknown> => {
      this.#told.set(`${request.transaction} ${request.branch}`, request);
      return this.#answer(question, request as never, async () => undefined);
    };
    return { ask: (request: Told) => told('ask', request), tell: (request: Told) => told('tell', request) };
  }

  /** The register, as the participants of three-phase commit ask it. */
  registerActivities(): Activities {
    return {
      'recovery.read': ({ transaction }: { transaction: string }) =>
        this.#line(
          transaction,
          'register',
          async () => this.register.get(transaction)?.decision ?? 'none',
          askerOf(transaction),
        ),
      'recovery.decide': ({ transaction, propose, reason }: Proposal) =>
        this.#line(
          transaction,
          `propose ${propose}`,
          async () => {
            const decided = this.register.get(transaction) ?? {
              decision: propose,
              by: 'a participant',
              ...(reason ? { reason } : {}),
            };
            if (!this.register.has(transaction) && propose === 'commit') this.#checkNoneAborted(transaction);
            this.register.set(transaction, decided);
            return decided;
          },
          askerOf(transaction),
        ),
    };
  }

  /** The questions of a participant's recovery, each told by what it asks about. */
  recovery(): Activities {
    const asking =
      (name: string, usual: unknown) =>
      (request: { key?: string; gid?: string }): Promise<unknown> => {
        const about = request.gid ?? request.key?.replace(/^key-/, '');
        const question = about === undefined ? name : `${name} ${about}`;
        return this.#line(Context.current().info.workflowExecution?.workflowId ?? '', question, async () => usual);
      };
    const decided: Decided = { decision: 'abort', by: 'recovery' };
    return {
      'recovery.watch': asking('recovery.watch', undefined),
      'recovery.read': asking('recovery.read', 'none'),
      'recovery.coordinator': asking('recovery.coordinator', 'gone'),
      'recovery.decide': asking('recovery.decide', decided),
      'recovery.settle': asking('recovery.settle', { kind: 'applied' } satisfies Ack),
    };
  }

  #answer(question: string, request: BranchRequest, usual: Usual): Promise<unknown> {
    return this.#line(request.transaction, `${question} ${request.branch}`, usual, request);
  }

  async #line(transaction: string, question: string, usual: Usual, request?: BranchRequest): Promise<unknown> {
    const asked = [...this.asked(transaction), question];
    this.#asked.set(transaction, asked);
    const interruption = this.#interruptions.get(transaction);
    if (interruption?.at !== asked.length) return this.#say(transaction, question, usual, request);
    if (interruption.when === 'before') await interruption.act();
    const answer = await this.#say(transaction, question, usual, request);
    if (interruption.when === 'after') await interruption.act();
    return answer;
  }

  async #say(transaction: string, question: string, usual: Usual, request?: BranchRequest): Promise<unknown> {
    const lines = this.#lines.get(`${transaction} ${question}`) ?? [];
    const line = lines.length > 1 ? lines.shift() : lines[0];
    if (line === undefined) return usual();
    // A worker that is stopped must not wait for an answer that a failed test will never give.
    return Promise.race([callLine(line, usual, request as BranchRequest), Context.current().cancelled]);
  }

  /** Prepares, and sends the vote by signal before it answers. */
  async #voted(request: PrepareRequest, question = 'prepare'): Promise<unknown> {
    const { transaction, branch, token, votes } = request;
    this.#requests.set(`${transaction} ${branch}`, request);
    const answer = (await this.#answer(question, request, () =>
      this.#prepare(request, question === 'try'),
    )) as PrepareAnswer;
    if (answer.vote === 'abort') this.#states.set(`${transaction} ${branch}`, 'rolled-back');
    if (answer.vote === 'read-only') this.#states.set(`${transaction} ${branch}`, 'read-only');
    if (votes === 'answer') return answer;
    const { client, info } = Context.current();
    await client.workflow.getHandle(info.workflowExecution?.workflowId ?? '').signal('vote', {
      transaction,
      branch,
      token,
      vote: answer.vote,
      ...(answer.vote === 'abort' ? { reason: answer.reason } : {}),
    });
    return answer;
  }

  /** A reservation has its result in its row, what is prepared has it in the prepared transaction. */
  async #prepare({ transaction, branch }: PrepareRequest, remembers: boolean): Promise<PrepareAnswer> {
    switch (this.state(transaction, branch)) {
      case 'rolled-back':
        return { vote: 'abort', reason: { code: 'fenced', message: 'It was given up before.' } };
      case 'none':
        this.set(transaction, branch, 'prepared');
        return { vote: 'commit', result: branch, xid: '7' };
      default:
        return { vote: 'commit', ...(remembers ? { result: branch } : {}) };
    }
  }

  #preCommit({ transaction, branch }: FinishRequest): 'done' | Decision {
    switch (this.state(transaction, branch)) {
      case 'prepared':
        this.preCommitted.add(`${transaction} ${branch}`);
        return 'done';
      case 'committed':
        return 'commit';
      default:
        return 'abort';
    }
  }

  async #decide(request: DecideRequest): Promise<DecideAnswer> {
    const { transaction, propose, reason } = request;
    this.proposals.set(transaction, [...(this.proposals.get(transaction) ?? []), request]);
    const decided = this.register.get(transaction) ?? {
      decision: propose,
      by: 'coordinator',
      ...(reason === undefined ? {} : { reason }),
    };
    if (!this.register.has(transaction) && propose === 'commit') this.#checkPrepared(request);
    this.register.set(transaction, decided);
    return { ...decided, ack: this.#finish(request, decided.decision) };
  }

  /** Nobody may decide for commit while a branch is not prepared. */
  #checkPrepared({ transaction, branches }: DecideRequest): void {
    for (const { branch, participant } of branches) {
      const state = this.state(transaction, branch);
      if (participant !== undefined && (state === 'none' || state === 'rolled-back'))
        this.breaches.push(`${branch} of ${transaction} is ${state}, and commit is decided`);
    }
  }

  #checkNoneAborted(transaction: string): void {
    for (const [branch, state] of Object.entries(this.states(transaction)))
      if (state === 'rolled-back') this.breaches.push(`${branch} of ${transaction} is ${state}, and commit is decided`);
  }

  #finish({ transaction, branch, wantsResult }: FinishRequest, decision: Decision): Ack {
    const state = this.state(transaction, branch);
    const decided = this.register.get(transaction)?.decision;
    const alone = this.rules.abortsAlone && decided === undefined && decision === 'abort' && state !== 'prepared';
    if (decided !== decision && !alone)
      this.breaches.push(`${branch} of ${transaction}: ${decision}, decided is ${decided}`);
    const applied: Ack = { kind: 'applied', ...(wantsResult ? { result: branch } : {}) };
    if (state === 'read-only') return applied;
    if (decision === 'commit') {
      if (state === 'prepared') this.effects.push(`${transaction} ${branch}`);
      if (state === 'none') return { kind: 'lost', evidence: 'Nobody knows it.' };
      if (state === 'rolled-back') return { kind: 'heuristic', took: 'abort', evidence: 'It was rolled back.' };
      this.set(transaction, branch, 'committed');
      return applied;
    }
    if (state === 'committed') return { kind: 'heuristic', took: 'commit', evidence: 'It was committed.' };
    this.set(transaction, branch, 'rolled-back');
    return applied;
  }

  async #execute({ transaction, branch }: BranchRequest): Promise<unknown> {
    this.set(transaction, branch, 'committed');
    return { answer: 'applied', result: branch };
  }
}

/** The branch that asks the register, whose workflow is `<transaction>#<branch>`. */
const askerOf = (transaction: string): BranchRequest =>
  // Cast: lines look at these only.
  ({ transaction, branch: Context.current().info.workflowExecution?.workflowId.split('#')[1] ?? '' }) as BranchRequest;

/** Does what a line says. */
export async function callLine(line: Line, usual: Usual, request: BranchRequest): Promise<unknown> {
  if (line instanceof Error) throw line;
  return typeof line === 'function' ? line(usual, request) : line;
}

export const refuses = (code = 'insufficient-funds', message = 'Not today.'): PrepareAnswer => ({
  vote: 'abort',
  reason: { code, message },
});

/** It does what it should, and nobody hears of it. */
export const unheard: Line = async (usual) => {
  await usual();
  throw ApplicationFailure.retryable('The answer was lost.', 'OperationFailed');
};

export const down: Line = ApplicationFailure.retryable('The database does not answer.', 'OperationFailed');
export const broken: Line = ApplicationFailure.nonRetryable('The operation is broken.', 'OperationFailed');
export const mismatch: Line = ApplicationFailure.nonRetryable('It exists with another input.', 'InputMismatch');
