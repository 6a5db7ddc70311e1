/**
 * The states of the coordinator's ballot. A state is the list of messages that led to it: the ballot is constructed afresh and
 * given them again. Lists that a coordinator cannot tell apart lead to one state.
 */
import { parseBranchId, parseTransactionId } from '../../src/protocol';
import type { BranchId, Decision, Vote } from '../../src/protocol';
import type { VoteKeeper, Voters } from './mechanisms';

export type BallotMessage =
  /** A vote by signal, with the token of some run of the coordinator, or with a wrong one. */
  | { readonly by: 'signal'; readonly branch: number; readonly vote: 'commit' | 'abort'; readonly token: string }
  /** The answer of the participant. */
  | { readonly by: 'answer'; readonly branch: number; readonly vote: Vote };

interface BallotState {
  readonly received: readonly BallotMessage[];
  readonly tally: Decision | 'pending';
  readonly close: Decision;
  readonly votes: readonly (Vote | 'none')[];
  readonly after: Map<string, number>;
}

export const TRANSACTION = parseTransactionId('transaction');
const REASON = { code: 'refused', message: 'No.' };

const branchId = (branch: number): BranchId => parseBranchId(`branch-${branch}`);
export const tokenOf = (run: number): string => `run-${run}`;

export class BallotStates {
  readonly #states: BallotState[] = [];
  readonly #known = new Map<string, number>();
  readonly #voters: Voters;

  constructor(
    private readonly open: (voters: Voters) => VoteKeeper,
    evidence: readonly ('answer' | 'vote')[],
    run: number,
  ) {
    this.#voters = evidence.map((needed, branch) => ({
      branch: branchId(branch),
      token: tokenOf(run),
      evidence: needed,
    }));
    this.#intern([]);
  }

  at(state: number): BallotState {
    const found = this.#states[state];
    if (!found) throw new Error(`There is no ballot ${state}.`);
    return found;
  }

  receive(state: number, message: BallotMessage): number {
    const { received, after } = this.at(state);
    const key = `${message.by} ${message.branch} ${message.vote} ${'token' in message ? message.token : ''}`;
    let next = after.get(key);
    if (next === undefined) after.set(key, (next = this.#intern([...received, message])));
    return next;
  }

  /** The same ballot with two branches in each other's place. */
  swapped(state: number, one: number, other: number): number {
    const key = `swap ${one} ${other}`;
    const { received, after } = this.at(state);
    let next = after.get(key);
    if (next === undefined) {
      const place = (branch: number): number => (branch === one ? other : branch === other ? one : branch);
      next = this.#intern(received.map((message) => ({ ...message, branch: place(message.branch) })));
      after.set(key, next);
    }
    return next;
  }

  #intern(received: readonly BallotMessage[]): number {
    const ballot = this.#replayed(received);
    const votes = this.#voters.map(({ branch }) => ballot.voteOf(branch));
    const stands = this.#voters.map(({ branch }) => ballot.stands(branch));
    const key = JSON.stringify([ballot.tally, votes, stands, ballot.more]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const id = this.#states.length;
    if (id > 255) throw new Error('A ballot must fit into a byte.');
    const { tally } = ballot;
    this.#states.push({ received, tally, votes, close: ballot.close(), after: new Map() });
    this.#known.set(key, id);
    return id;
  }

  #replayed(received: readonly BallotMessage[]): VoteKeeper {
    const ballot = this.open(this.#voters);
    for (const message of received) {
      const branch = branchId(message.branch);
      const reason = message.vote === 'abort' ? { reason: REASON } : {};
      if (message.by === 'signal')
        ballot.receive({ transaction: TRANSACTION, branch, token: message.token, vote: message.vote, ...reason });
      else if (message.vote === 'abort') ballot.answer(branch, { vote: 'abort', reason: REASON });
      else if (message.vote === 'commit') ballot.answer(branch, { vote: 'commit' });
      else ballot.answer(branch, { vote: 'read-only', result: undefined });
    }
    return ballot;
  }
}
