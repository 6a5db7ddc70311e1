/**
 * Where votes and acknowledgements arrive: the signals `vote` and `ack`. One handler a workflow, whichever transactions run in
 * it. The handlers are synchronous and total: whatever anybody may send, a signal never fails or wedges the workflow; what
 * is no vote is dropped and counted.
 */
import { defineSignal, metricMeter, setHandler } from '@temporalio/workflow';
import { METRICS } from '../observability';
import { Ballot } from '../protocol';
import type { BranchId, Decision, Reception, TransactionId, Voter } from '../protocol';
import { outside } from './outside';
import { perWorkflow } from './per-workflow';
import { noteAnswer } from './worker-circuits';

/** A branch's vote: `{ transaction, branch, token, vote: 'commit' | 'abort' | 'read-only', reason?: { code, message } }`. */
export const voteSignal = defineSignal<[unknown]>('vote');
/**
 * A branch says that it has followed the decision: `{ transaction, branch, token }`, with the operation's `result` where it is a
 * participant of three-phase commit, and its `state`; or, with `state: 'pre-committed'`, that it is that.
 */
export const ackSignal = defineSignal<[unknown]>('ack');

export interface Correspondent extends Voter {
  /** Of a participant of which perhaps nothing is heard but what comes here. */
  readonly participant?: string;
}

interface Box {
  readonly ballot: Ballot;
  readonly voters: readonly Correspondent[];
  readonly acked: Map<BranchId, Acknowledged>;
  readonly preCommitted: Set<BranchId>;
  /** Told of every vote that counts. */
  readonly changed: () => void;
}

/** That a branch has followed the decision. */
export interface Acknowledged {
  /** What it followed, where it says so. */
  readonly took?: Decision;
  readonly result?: unknown;
}

/** The ballot of one transaction, for as long as the transaction runs. */
export interface OpenBallot extends Pick<Box, 'ballot' | 'acked' | 'preCommitted'> {
  close(): void;
}

const post = perWorkflow(() => ({ boxes: new Map<TransactionId, Box>(), open: false }));

export function openBallot(
  transaction: TransactionId,
  voters: readonly Correspondent[],
  changed: () => void,
): OpenBallot {
  openBoxes();
  const { boxes } = post();
  const ballot = new Ballot(transaction, voters);
  const acked = new Map<BranchId, Acknowledged>();
  const preCommitted = new Set<BranchId>();
  boxes.set(transaction, { ballot, voters, acked, preCommitted, changed });
  return { ballot, acked, preCommitted, close: () => void boxes.delete(transaction) };
}

function openBoxes(): void {
  const state = post();
  if (state.open) return;
  state.open = true;
  outside(setHandlers);
}

function setHandlers(): void {
  setHandler(voteSignal, (message) => note(receiveVote(message)), {
    description:
      'The vote of a branch. Input: {"transaction", "branch", "token", "vote": "commit" | "abort", "reason"}',
  });
  setHandler(ackSignal, (message) => note(receiveAck(message)), {
    description: 'A branch has followed the decision. Input: {"transaction", "branch", "token"}',
  });
}

function receiveVote(message: unknown): Reception {
  const box = boxOf(message);
  if (box === undefined || typeof box === 'string') return box ?? 'unknown-transaction';
  const reception = box.ballot.receive(message);
  if (reception === 'counted') {
    const { branch } = message as Readonly<Record<string, unknown>>; // Cast: it counts.
    hear(box.voters.find((voter) => voter.branch === branch));
    box.changed();
  }
  return reception;
}

function receiveAck(message: unknown): Reception {
  const box = boxOf(message);
  if (box === undefined || typeof box === 'string') return box ?? 'unknown-transaction';
  const { branch, token, state, result } = message as Readonly<Record<string, unknown>>;
  const voter = box.voters.find((candidate) => candidate.branch === branch);
  if (voter === undefined) return 'unknown-branch';
  if (voter.token !== token) return 'wrong-token';
  hear(voter);
  if (state === 'pre-committed') box.preCommitted.add(voter.branch);
  else box.acked.set(voter.branch, { ...(result === undefined ? {} : { result }), ...tookIn(state) });
  return 'counted';
}

function hear(voter: Correspondent | undefined): void {
  if (voter?.participant !== undefined) noteAnswer(voter.participant);
}

const tookIn = (state: unknown): Pick<Acknowledged, 'took'> => {
  if (state === 'committed') return { took: 'commit' };
  return state === 'aborted' ? { took: 'abort' } : {};
};

/** A message may be a value that throws when it is looked at, such as one that could not be decoded. */
function boxOf(message: unknown): Box | 'malformed' | undefined {
  try {
    if (typeof message !== 'object' || message === null) return 'malformed';
    const { transaction } = message as { transaction?: unknown };
    // Cast: a map finds nothing under what is no key of it.
    return post().boxes.get(transaction as TransactionId);
  } catch {
    return 'malformed';
  }
}

function note(reception: Reception): void {
  if (reception === 'counted' || reception === 'repeated') return;
  metricMeter.createCounter(METRICS.votesRejected).add(1, { reason: reception });
}
