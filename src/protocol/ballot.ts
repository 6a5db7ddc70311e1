/**
 * The votes of one transaction. Atomic commitment needs unanimity: one `abort` decides, silence decides nothing, and nothing
 * counts once the ballot is closed.
 *
 * Votes are kept by branch, never counted: a vote that comes twice is still one vote (P6). A vote that comes by signal is a
 * hint, because whoever may signal can send one: `abort` acts at once, which costs at most an abort, but a `commit` of a
 * branch whose participant we can ask needs that participant's own answer, read in its database (rule 6).
 *
 * @see Gray: "Notes on Data Base Operating Systems", 1978; Bernstein, Hadzilacos, Goodman: "Concurrency Control and
 * Recovery in Database Systems", 1987, chapter 7
 */
import type { AbortReason, PrepareAnswer } from './voting';
import type { BranchId, Decision, TransactionId, Vote } from './words';

/** One who is asked to vote. */
export interface Voter {
  readonly branch: BranchId;
  readonly token: string;
  /** `answer`: `commit` counts once the participant itself has answered. `vote`: there is nobody to answer, the vote is all. */
  readonly evidence: 'answer' | 'vote';
}

/** What a vote that came by signal was worth. Everything but `counted` and `repeated` is dropped and counted as rejected. */
export type Reception =
  | 'counted'
  /** The same vote again. */
  | 'repeated'
  /** Not a vote at all. */
  | 'malformed'
  /** For another transaction than those of this workflow. */
  | 'unknown-transaction'
  | 'unknown-branch'
  /** An answer to some other request, or forged. */
  | 'wrong-token'
  /** Another vote of this branch has been counted. */
  | 'contradictory'
  /** After the proposal was made. */
  | 'closed';

interface Cast {
  readonly vote: Vote;
  readonly reason?: AbortReason;
}

export class Ballot {
  readonly #cast = new Map<BranchId, Cast>();
  readonly #answered = new Set<BranchId>();
  #closed = false;

  constructor(
    private readonly transaction: TransactionId,
    private readonly voters: readonly Voter[],
  ) {}

  get tally(): Decision | 'pending' {
    if (this.voters.some(({ branch }) => this.voteOf(branch) === 'abort')) return 'abort';
    return this.voters.every((voter) => this.#stands(voter)) ? 'commit' : 'pending';
  }

  voteOf(branch: BranchId): Vote | 'none' {
    return this.#cast.get(branch)?.vote ?? 'none';
  }

  reasonOf(branch: BranchId): AbortReason | undefined {
    return this.#cast.get(branch)?.reason;
  }

  /** The branch that decided for `abort`, when one did. */
  get objector(): BranchId | undefined {
    return this.voters.find(({ branch }) => this.voteOf(branch) === 'abort')?.branch;
  }

  /** Whether the branch has voted, with the evidence that its vote needs. */
  stands(branch: BranchId): boolean {
    const voter = this.voters.find((candidate) => candidate.branch === branch);
    return voter !== undefined && this.#stands(voter);
  }

  /** Counts a vote that came off the wire. Total: what is malformed, forged or stale is dropped, never thrown. */
  receive(message: unknown): Reception {
    const read = readVote(message);
    if (read === undefined) return 'malformed';
    const voter = this.voters.find(({ branch }) => branch === read.branch);
    if (read.transaction !== this.transaction) return 'unknown-transaction';
    if (voter === undefined) return 'unknown-branch';
    if (read.token !== voter.token) return 'wrong-token';
    const known = this.#cast.get(voter.branch);
    if (known !== undefined) return known.vote === read.vote ? 'repeated' : 'contradictory';
    if (this.#closed) return 'closed';
    this.#cast.set(voter.branch, { vote: read.vote, ...(read.reason === undefined ? {} : { reason: read.reason }) });
    return 'counted';
  }

  /** Counts the answer of the participant itself. An `abort`, by whichever way it came, is final (P10). */
  answer(branch: BranchId, answer: PrepareAnswer): void {
    if (this.#closed || this.voteOf(branch) === 'abort') return;
    this.#answered.add(branch);
    this.#cast.set(branch, {
      vote: answer.vote,
      ...(answer.vote === 'abort' ? { reason: bounded(answer.reason) } : {}),
    });
  }

  /** Ends the vote and says what to propose: silence is now an `abort`. */
  close(): Decision {
    this.#closed = true;
    return this.tally === 'commit' ? 'commit' : 'abort';
  }

  #stands({ branch, evidence }: Voter): boolean {
    return this.#cast.has(branch) && (evidence === 'vote' || this.#answered.has(branch));
  }
}

type ReadVote = { readonly transaction: unknown; readonly branch: unknown; readonly token: unknown } & Cast;

const LONGEST_REASON = 500;
const LARGEST_DETAILS = 8_192;

/** Reads what somebody sent into a fresh object. A value that throws when it is looked at is malformed too. */
function readVote(message: unknown): ReadVote | undefined {
  try {
    if (typeof message !== 'object' || message === null) return undefined;
    const { transaction, branch, token, vote, reason } = message as Record<string, unknown>;
    if (vote !== 'commit' && vote !== 'abort' && vote !== 'read-only') return undefined;
    const read = vote === 'abort' ? readReason(reason) : undefined;
    return { transaction, branch, token, vote, ...(read === undefined ? {} : { reason: read }) };
  } catch {
    return undefined;
  }
}

function readReason(reason: unknown): AbortReason | undefined {
  if (typeof reason !== 'object' || reason === null) return undefined;
  const { code, message, details } = reason as Record<string, unknown>;
  if (typeof code !== 'string' || typeof message !== 'string') return undefined;
  return bounded({ code, message, ...(details === undefined ? {} : { details }) });
}

/** A reason is kept in the register, in the report twice, and in the history: it must be small, whoever gave it. */
function bounded({ code, message, details }: AbortReason): AbortReason {
  const small = details !== undefined && (JSON.stringify(details) ?? '').length <= LARGEST_DETAILS;
  return {
    code: code.slice(0, LONGEST_REASON),
    message: message.slice(0, LONGEST_REASON),
    ...(small ? { details } : {}),
  };
}
