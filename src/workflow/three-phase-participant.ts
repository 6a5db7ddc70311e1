/**
 * A participant of three-phase commit: a workflow on the participant's own task queue, started by the coordinator and outliving
 * it. What it does is the program in `protocol/three-phase-commit.ts`; here are its messages, its timers and its database.
 */
import { HandlerUnfinishedPolicy } from '@temporalio/common';
import {
  CancellationScope,
  condition,
  patched,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import { AbortCode, canonicalJson, participate, run } from '../protocol';
import type { AbortReason, Ack, Decision, Driver, ParticipantReplies, ParticipantState, Vote } from '../protocol';
import { alarm } from './alarm';
import { activityDispatcher } from './dispatch';
import type { BranchCall, Effort } from './dispatch';
import { messageOf, refusalOf } from './failures';
import { INSISTENT_RETRY } from './options';
import {
  canCommitSignal,
  doAbortSignal,
  doCommitSignal,
  fieldsOf,
  inquireSignal,
  preCommitSignal,
  readState,
  signal,
  standSignal,
} from './three-phase-messages';
import type { ParticipationReport, ParticipationRequest } from './three-phase-messages';
import { ackSignal, voteSignal } from './votes';

/**
 * Takes part in a transaction of three-phase commit. For participants' workers, which load it of themselves.
 *
 * @returns what became of its branch
 */
export function participateInThreePhaseCommit(request: ParticipationRequest): Promise<ParticipationReport> {
  // Who cancels it wants the transaction withdrawn, and that is the coordinator's to hear.
  return CancellationScope.nonCancellable(async () => {
    const participant = new ThreePhaseParticipant(request);
    const outcome = await run<ParticipantReplies, ParticipationReport['outcome']>(
      participate(request.mode),
      participant,
    );
    await participant.linger();
    const { transaction, branch } = request;
    return { transaction, branch, outcome, ...(participant.ack === undefined ? {} : { ack: participant.ack }) };
  });
}

const OTHER_REQUEST: AbortReason = {
  code: AbortCode.InputMismatch,
  message:
    'It takes part in a transaction of the same id with another input or another first branch. Give this one an id of its own.',
};

/**
 * The register belongs to it: a build that puts another branch first has another one, and two could decide differently. The version before
 * did not look at it, and what that did is replayed.
 */
const isSameRequest = (
  asked: Readonly<Record<string, unknown>>,
  { operation, input, request, register }: ParticipationRequest,
): boolean =>
  asked['operation'] === operation &&
  canonicalJson(asked['input'] ?? null) === canonicalJson(input ?? null) &&
  (asked['request'] === undefined || request === undefined || asked['request'] === request) &&
  (asked['register'] === undefined || asked['register'] === register || !patched('temporal-txn-same-register'));

class ThreePhaseParticipant implements Driver<ParticipantReplies> {
  ack: Ack | undefined;
  #state: ParticipantState = 'initial';
  #token: string;
  #vote: Vote | undefined;
  #reason: AbortReason | undefined;
  /** A coordinator that started again wants to hear the vote. */
  #asked = false;
  /** What the coordinator said and was not yet attended to. */
  readonly #inbox: ('pre-commit' | Decision)[] = [];
  /** What other participants answered, by their workflow ids. */
  readonly #stands = new Map<string, ParticipantState>();
  #result: { readonly value: unknown } | undefined;
  #xid: string | undefined;

  constructor(private readonly request: ParticipationRequest) {
    this.#token = request.token;
    setHandler(canCommitSignal, (message) => this.#askedAgain(message), {
      description: 'A coordinator that starts again asks whether this branch can commit. Sent by the coordinator',
    });
    setHandler(preCommitSignal, (message) => this.#toldOfAll(message), {
      description: 'All branches can commit. Sent by the coordinator, or by another participant',
    });
    setHandler(doCommitSignal, (message) => this.#told(message, 'commit'), {
      description: 'The decision is to commit. Sent by the coordinator',
    });
    setHandler(doAbortSignal, (message) => this.#told(message, 'abort'), {
      description: 'The decision is to abort. Sent by the coordinator',
    });
    setHandler(inquireSignal, (message) => this.#answer(message), {
      unfinishedPolicy: HandlerUnfinishedPolicy.ABANDON,
      description: 'Another participant, which hears nothing of the coordinator, asks where this one stands',
    });
    setHandler(standSignal, (message) => this.#hear(message), {
      description: 'Where another participant stands, because this one asked',
    });
    this.#show('is asked whether it can commit');
  }

  readonly prepare = async (): Promise<ParticipantReplies['prepare']> => {
    if (this.#inbox.includes('abort')) {
      this.#reason = { code: AbortCode.Cancelled, message: 'It was aborted before this branch was asked.' };
      return 'abort';
    }
    const { token, register, prepareMs, retry } = this.request;
    try {
      const answer = await activityDispatcher.prepare(
        this.#call(),
        { token, register, votes: 'answer' },
        { ...this.#effort(), timeout: prepareMs, retry },
      );
      if ('result' in answer) this.#result = { value: answer.result };
      if (answer.vote === 'commit') this.#xid = answer.xid;
      if (answer.vote === 'abort') this.#reason = answer.reason;
      return answer.vote;
    } catch (error) {
      this.#reason = refusalOf(error) ?? { code: AbortCode.Failed, message: messageOf(error) };
      return 'unknown';
    }
  };

  readonly vote = async (vote: unknown): Promise<'sent'> => {
    this.#vote = vote as Vote; // Cast: the program says so.
    // Who votes to abort is not aborted yet: the register may know better, of a workflow that was reset.
    if (vote === 'commit') this.#state = 'uncertain';
    this.#show(`has voted ${String(vote)}`);
    return this.#sendVote();
  };

  readonly next = async (state: unknown): Promise<ParticipantReplies['next']> => {
    const { uncertainMs, preCommittedMs } = this.request.patience;
    let silent = false;
    const watch = alarm(
      state === 'pre-committed' ? preCommittedMs : uncertainMs,
      `patience while ${String(state)}`,
      () => (silent = true),
    );
    try {
      for (;;) {
        await condition(() => silent || this.#asked || this.#inbox.length > 0);
        if (this.#asked) {
          this.#asked = false;
          await this.#sendVote();
          continue;
        }
        return this.#inbox.shift() ?? 'silence';
      }
    } finally {
      watch.cancel();
    }
  };

  readonly preCommit = async (): Promise<ParticipantReplies['preCommit']> => {
    const written = await this.#writePreCommit();
    if (written === 'done') this.#state = 'pre-committed';
    this.#show(this.#state === 'pre-committed' ? 'knows that all can commit' : `finds itself finished: ${written}`);
    return written;
  };

  /**
   * A branch that is prepared no more, and nobody knows why, never gets there: then what was decided is listened and looked for,
   * and in the end, when everybody else may be gone, asked for.
   */
  async #writePreCommit(): Promise<ParticipantReplies['preCommit']> {
    const { register, attemptTimeoutMs, patience } = this.request;
    const limited: Effort = { ...this.#effort(), timeout: 2 * attemptTimeoutMs };
    for (const end = Date.now() + patience.uncertainMs; ;) {
      try {
        return await this.#unlessTold(() => activityDispatcher.preCommit(this.#call(), this.#phaseTwo(), limited));
      } catch (error) {
        this.#show(`cannot write down that all can commit: ${messageOf(error)}`);
        if (this.request.mode !== 'register') continue;
        const decided = await this.#unlessTold(() =>
          activityDispatcher.readDecision(register, this.#about(), this.#effort()),
        );
        if (decided !== 'none') return decided;
        if (Date.now() >= end) return this.decide('abort');
      }
    }
  }

  readonly acknowledge = (): Promise<'sent'> => this.#acknowledge({ state: 'pre-committed' });

  readonly register = async (): Promise<ParticipantReplies['register']> => {
    const { register } = this.request;
    this.#show(`hears nothing of the coordinator, and asks the register at ${register}`);
    return this.#unlessTold(() => activityDispatcher.readDecision(register, this.#about(), this.#effort()));
  };

  readonly peers = (): Promise<readonly ParticipantState[]> => this.#inquire(false);

  readonly spread = (): Promise<readonly ParticipantState[]> => this.#inquire(true);

  readonly decide = async (propose: unknown): Promise<Decision> => {
    const { register } = this.request;
    this.#show(`proposes ${String(propose)} to the register at ${register}`);
    return this.#unlessTold(async () => {
      const proposal = {
        ...this.#about(),
        propose: propose as Decision, // Cast: the program says so.
        // Its own, when it is the one that could not prepare.
        ...(this.#reason === undefined || propose === 'commit' ? {} : { reason: this.#reason }),
      };
      return (await activityDispatcher.propose(register, proposal, this.#effort())).decision;
    });
  };

  readonly finish = async (about: unknown): Promise<'done'> => {
    const decision = about as Decision; // Cast: the program says so.
    // Before anything else: whoever asks from here on is told.
    this.#state = decision === 'commit' ? 'committed' : 'aborted';
    this.#show(`follows the decision: ${decision}`);
    try {
      this.ack = await activityDispatcher.finish(this.#call(), decision, this.#phaseTwo(decision), this.#effort());
    } catch (error) {
      this.ack = { kind: 'lost', evidence: messageOf(error) };
    }
    this.#show(`has followed the decision ${decision}: ${this.ack.kind}`);
    // Otherwise the coordinator asks for itself, and holds it for a person.
    if (this.ack.kind !== 'applied') return 'done';
    const { value: result } =
      'result' in this.ack ? { value: this.ack.result } : (this.#result ?? { value: undefined });
    await this.#acknowledge({ state: this.#state, ...(decision === 'commit' ? { result } : {}) });
    return 'done';
  };

  /** Without a register nobody else remembers what was decided: it stays until the others have had time to ask. */
  async linger(): Promise<void> {
    const { mode, patience } = this.request;
    if (mode === 'register') return;
    await sleep(patience.uncertainMs + patience.preCommittedMs + 2 * patience.peersMs, {
      summary: 'the others may ask',
    });
  }

  #askedAgain(message: unknown): void {
    const { request } = this;
    const { coordinator, token, ...asked } = fieldsOf(message);
    if (coordinator !== request.coordinator || typeof token !== 'string') return;
    // The same id for something else: what this branch is part of stays as it is, and whoever asks hears no.
    if (!isSameRequest(asked, request)) return void this.#sendVote(token, 'abort', OTHER_REQUEST);
    this.#token = token;
    this.#asked = true;
  }

  #toldOfAll(message: unknown): void {
    const { token, secret } = fieldsOf(message);
    if (token === this.#token || secret === this.request.secret) this.#inbox.push('pre-commit');
  }

  #hear(message: unknown): void {
    const { secret, from, state } = fieldsOf(message);
    const known = readState(state);
    if (secret === this.request.secret && typeof from === 'string' && known) this.#stands.set(from, known);
  }

  #told(message: unknown, decision: Decision): void {
    if (fieldsOf(message)['token'] === this.#token) this.#inbox.push(decision);
  }

  /** The coordinator may come back while a participant is terminating: then it need not go on. */
  async #unlessTold<T>(asking: () => Promise<T>): Promise<T | Decision> {
    const told = (): Decision | undefined => this.#inbox.find((message) => message !== 'pre-commit');
    const scope = new CancellationScope({ cancellable: true, parent: CancellationScope.current() });
    const waiting = new CancellationScope({ cancellable: true, parent: CancellationScope.current() });
    const asked = scope.run(asking);
    const listened = waiting.run(() => condition(() => told() !== undefined));
    try {
      return await Promise.race([asked, listened.then(() => told() as Decision)]); // Cast: it waited for one.
    } finally {
      scope.cancel();
      waiting.cancel();
      await Promise.allSettled([asked, listened]);
    }
  }

  async #inquire(spread: boolean): Promise<readonly ParticipantState[]> {
    const { peers, secret, patience } = this.request;
    const from = workflowInfo().workflowId;
    this.#show(spread ? 'tells the others that all can commit' : 'asks the others where they stand');
    this.#stands.clear();
    let over = false;
    const watch = alarm(patience.peersMs, 'the others answer', () => (over = true));
    const away = new Set<string>();
    for (const peer of peers) {
      const send = async (): Promise<void> => {
        if (spread) await signal(peer, preCommitSignal, { secret });
        if (!(await signal(peer, inquireSignal, { secret, from, spread }))) away.add(peer);
      };
      void send();
    }
    try {
      await condition(() => over || peers.every((peer) => this.#stands.has(peer) || away.has(peer)));
    } finally {
      watch.cancel();
    }
    return [...this.#stands.values()];
  }

  async #answer(message: unknown): Promise<void> {
    const { secret, from, spread } = fieldsOf(message);
    if (secret !== this.request.secret || typeof from !== 'string' || !this.request.peers.includes(from)) return;
    // It was told to pre-commit just before.
    if (spread === true)
      await condition(() => this.#state !== 'uncertain', this.request.patience.peersMs, { summary: 'it pre-commits' });
    await signal(from, standSignal, { secret, from: workflowInfo().workflowId, state: this.#state });
  }

  async #sendVote(token = this.#token, vote = this.#vote, reason = this.#reason): Promise<'sent'> {
    const { transaction, branch, coordinator } = this.request;
    const why = reason === undefined ? {} : { reason };
    await signal(coordinator, voteSignal, { transaction, branch, token, vote, ...why });
    return 'sent';
  }

  async #acknowledge(what: { readonly state: ParticipantState; readonly result?: unknown }): Promise<'sent'> {
    const { transaction, branch, coordinator } = this.request;
    await signal(coordinator, ackSignal, { transaction, branch, token: this.#token, ...what });
    return 'sent';
  }

  #call(): BranchCall {
    const { transaction, branch, participant, operation, input, request } = this.request;
    return {
      transaction,
      branch,
      participant,
      operation,
      input,
      coordinator: this.request.coordinator,
      ...(request === undefined ? {} : { request }),
    };
  }

  /** What the register is asked about. */
  #about() {
    const { transaction, request } = this.request;
    return { transaction, ...(request === undefined ? {} : { request }) };
  }

  #phaseTwo(decision: Decision = 'abort') {
    const { register } = this.request;
    return {
      register,
      ...(this.#xid === undefined ? {} : { xid: this.#xid }),
      ...(decision === 'commit' && this.#result === undefined ? { wantsResult: true as const } : {}),
    };
  }

  #effort(): Effort {
    const { attemptTimeoutMs, participant } = this.request;
    return { attemptTimeout: attemptTimeoutMs, retry: INSISTENT_RETRY, summary: `for ${participant}` };
  }

  #show(what: string): void {
    const { transaction, branch, mode } = this.request;
    const unsafe = mode === 'classic-unsafe' ? ' (classic, **unsafe**)' : '';
    setCurrentDetails(
      `**Branch ${branch} of ${transaction}**, three-phase commit${unsafe}: ${what}. State: ${this.#state}.`,
    );
  }
}
