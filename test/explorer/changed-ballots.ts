/** Ballots that are easily built, and wrong. */
import { Ballot } from '../../src/protocol';
import type { BranchId, Decision, PrepareAnswer, TransactionId, VoteMessage } from '../../src/protocol';
import type { VoteKeeper, Voters } from './mechanisms';

/** A ballot that a mutant changes. */
class ChangedBallot implements VoteKeeper {
  protected readonly ballot: Ballot;

  constructor(
    transaction: TransactionId,
    protected readonly voters: Voters,
  ) {
    this.ballot = new Ballot(transaction, voters);
  }

  get tally(): Decision | 'pending' {
    return this.ballot.tally;
  }

  voteOf(branch: BranchId) {
    return this.ballot.voteOf(branch);
  }

  stands(branch: BranchId): boolean {
    return this.ballot.stands(branch);
  }

  receive(message: VoteMessage): void {
    this.ballot.receive(message);
  }

  answer(branch: BranchId, answer: PrepareAnswer): void {
    this.ballot.answer(branch, answer);
  }

  close(): Decision {
    return this.ballot.close();
  }
}

/** Takes a vote with any token. */
export class TokenlessVotes extends ChangedBallot {
  override receive(message: VoteMessage): void {
    const voter = this.voters.find(({ branch }) => branch === message.branch);
    this.ballot.receive(voter ? { ...message, token: voter.token } : message);
  }
}

/** Whoever has not objected when the time is up has agreed. */
export class SilenceConsents extends ChangedBallot {
  override close(): Decision {
    return this.ballot.tally === 'abort' ? 'abort' : 'commit';
  }
}

/** Commits when as many votes to commit have come as there are branches. */
export class CountedVotes implements VoteKeeper {
  #commits = 0;
  #aborted = false;

  constructor(private readonly voters: Voters) {}

  get tally(): Decision | 'pending' {
    if (this.#aborted) return 'abort';
    return this.#commits >= this.voters.length ? 'commit' : 'pending';
  }

  get more(): unknown {
    return Math.min(this.#commits, this.voters.length);
  }

  voteOf(): 'none' {
    return 'none';
  }

  stands(): boolean {
    return false;
  }

  receive({ vote }: VoteMessage): void {
    if (vote === 'abort') this.#aborted = true;
    else this.#commits++;
  }

  answer(_branch: BranchId, { vote }: PrepareAnswer): void {
    if (vote === 'abort') this.#aborted = true;
    else this.#commits++;
  }

  close(): Decision {
    return this.tally === 'commit' ? 'commit' : 'abort';
  }
}

/** Of each branch the vote that came last. */
export class LastVotes implements VoteKeeper {
  readonly #last = new Map<BranchId, 'commit' | 'abort' | 'read-only'>();
  readonly #answered = new Set<BranchId>();

  constructor(private readonly voters: Voters) {}

  get tally(): Decision | 'pending' {
    if (this.voters.some(({ branch }) => this.voteOf(branch) === 'abort')) return 'abort';
    return this.voters.every(({ branch }) => this.stands(branch)) ? 'commit' : 'pending';
  }

  voteOf(branch: BranchId): 'commit' | 'abort' | 'read-only' | 'none' {
    return this.#last.get(branch) ?? 'none';
  }

  stands(branch: BranchId): boolean {
    return this.#last.has(branch) && this.#answered.has(branch);
  }

  receive({ branch, vote, token }: VoteMessage): void {
    if (this.voters.some((voter) => voter.branch === branch && voter.token === token)) this.#last.set(branch, vote);
  }

  answer(branch: BranchId, { vote }: PrepareAnswer): void {
    this.#answered.add(branch);
    this.#last.set(branch, vote);
  }

  close(): Decision {
    return this.tally === 'commit' ? 'commit' : 'abort';
  }
}
