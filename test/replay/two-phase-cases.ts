/** What is recorded of two- and three-phase commit and of try-confirm-cancel: their workflow types with each of their outcomes. */
import { ApplicationFailure } from '@temporalio/common';
import { branch, participant } from '../../src/workflow';
import type { accounts } from '../../activities/accounts/operations';
import type { audit } from '../../activities/audit/operations';
import { down, refuses } from '../two-phase-commit/participants';
import type { Line } from '../two-phase-commit/participants';

export interface TwoPhaseCase {
  /** Name of the file, and the transaction id. */
  readonly name: string;
  readonly workflow: string;
  readonly input: unknown;
  /** What participants do, by question. */
  readonly answers?: Readonly<Record<string, readonly Line[]>>;
  /**
   * Done while the case runs. `cancel`: once this branch is asked to prepare, and before it answers. `skip`: once this branch is
   * held. `vote`: once the branch that is not ours waits. `accept`: once all is reserved. `tell`: what a coordinator of three-phase
   * commit says, once this branch has voted. `end`: once the recovery has seen everything.
   */
  readonly then?: { readonly kind: 'cancel' | 'skip' | 'vote' | 'accept' | 'tell' | 'end'; readonly branch: string };
}

const north = participant<typeof accounts>('north-bank');
const south = participant<typeof accounts>('south-bank');
const ledger = participant<typeof audit>('audit');

const money = { amount: 1050, currency: 'EUR' };
const transfer = {
  from: { bank: 'north-bank', account: 'alice' },
  to: { bank: 'south-bank', account: 'bob' },
  ...money,
};
const debit = branch(north.debit, { account: 'alice', ...money });
/** At a participant whose every answer the case can say. */
const elsewhere = branch(participant<typeof accounts>('recovered').debit, { account: 'alice', ...money });
const branches = [
  debit,
  branch(south.credit, { account: 'bob', ...money }),
  branch(ledger.record, { kind: 'transfer', from: 'north-bank/alice', to: 'south-bank/bob', ...money }),
];

const ofTransfer = (outcome: string, answers?: TwoPhaseCase['answers'], then?: TwoPhaseCase['then']): TwoPhaseCase => ({
  name: `transferMoneyAtomically-${outcome}`,
  workflow: 'transferMoneyAtomically',
  input: transfer,
  ...(answers ? { answers } : {}),
  ...(then ? { then } : {}),
});

const ofCoordinator = (
  outcome: string,
  input: object,
  answers?: TwoPhaseCase['answers'],
  then?: TwoPhaseCase['then'],
): TwoPhaseCase => ({
  name: `coordinateTwoPhaseCommit-${outcome}`,
  workflow: 'coordinateTwoPhaseCommit',
  input,
  ...(answers ? { answers } : {}),
  ...(then ? { then } : {}),
});

/** A participant of three-phase commit whose coordinator and peers are not there. */
const ofParticipant = (
  outcome: string,
  answers: TwoPhaseCase['answers'],
  then?: TwoPhaseCase['then'],
): TwoPhaseCase => {
  const name = `participateInThreePhaseCommit-${outcome}`;
  const input = {
    transaction: name,
    branch: 'recovered.debit',
    participant: 'recovered',
    operation: 'debit',
    input: { account: 'alice', ...money },
    token: 'token',
    coordinator: `coordinator-of-${name}`,
    register: 'recovered',
    peers: [`${name}#recovered.credit`],
    secret: 'secret',
    mode: 'register',
    patience: { preCommitMs: 500, uncertainMs: 1_000, preCommittedMs: 1_000, peersMs: 200 },
    prepareMs: 5_000,
    attemptTimeoutMs: 2_000,
    retry: { initialInterval: 100 },
  };
  return {
    name,
    workflow: 'participateInThreePhaseCommit',
    input,
    ...(answers ? { answers } : {}),
    ...(then ? { then } : {}),
  };
};

const trip = { flight: 'LIS-900', room: 'DOUBLE', car: 'COMPACT', travellers: 1 };
const ofTrip = (outcome: string, more: Pick<TwoPhaseCase, 'answers' | 'then'>, holdSeconds = 60): TwoPhaseCase => ({
  name: `bookTrip-${outcome}`,
  workflow: 'bookTrip',
  input: { ...trip, holdSeconds },
  ...more,
});

const usual: Line = (go) => go();
const silent: Line = () => new Promise(() => undefined);
const lost = { kind: 'lost', evidence: 'Nobody knows it.' };
const soon = { timeouts: { prepare: '2 seconds', commit: '1 second' }, attemptTimeout: '1 second' };

const gone = (transaction: string, more: object = {}) => ({
  gid: `gid-${transaction}`,
  key: `key-${transaction}`,
  register: 'recovered',
  ageMs: 60_000,
  prepared: true,
  owned: true,
  transaction,
  branch: 'north-bank.debit',
  namespace: 'default',
  workflowId: transaction,
  ...more,
});
const survey = (...overdue: object[]) => ({ overdue, foreign: [], slots: { used: overdue.length, limit: 64 } });

export const TWO_PHASE_CASES: readonly TwoPhaseCase[] = [
  ofTransfer('committed'),
  ofTransfer('refused', { 'prepare south-bank.credit': [refuses()] }),
  ofTransfer('cancelled', {}, { kind: 'cancel', branch: 'south-bank.credit' }),
  ofTransfer('contended-committed', { 'prepare south-bank.credit': [refuses('contention', 'Locked.')] }),
  ofTransfer('held', { 'commit south-bank.credit': [lost] }, { kind: 'skip', branch: 'south-bank.credit' }),
  ofTransfer(
    'contended-held',
    {
      'prepare south-bank.credit': [refuses('contention', 'Locked.')],
      'abort audit.record': [{ kind: 'heuristic', took: 'commit', evidence: 'By hand.' }],
    },
    { kind: 'skip', branch: 'audit.record' },
  ),
  ofCoordinator('committed', { branches }),
  ofCoordinator('by-answers-committed', { branches, options: { votes: 'answer' } }),
  ofCoordinator('timed-out', { branches, options: soon }, { 'prepare audit.record': [silent] }),
  ofCoordinator(
    'overdue-committed',
    { branches, options: soon },
    {
      'commit audit.record': [down, down, down, down, usual],
    },
  ),
  ofCoordinator(
    'register-overdue-committed',
    { branches, options: soon },
    {
      'decide north-bank.debit': [down, down, down, down, usual],
    },
  ),
  ofCoordinator('one-phase-committed', { branches: [debit] }),
  ofCoordinator(
    'one-phase-asked',
    { branches: [elsewhere] },
    {
      'execute recovered.debit': [
        async (go) => {
          await go();
          throw ApplicationFailure.nonRetryable('The answer was lost.', 'OperationFailed');
        },
      ],
    },
  ),
  ofCoordinator('failed', { branches: [] }),
  {
    name: 'transferOnceApproved-committed',
    workflow: 'transferOnceApproved',
    input: transfer,
    then: { kind: 'vote', branch: 'approval' },
  },
  { name: 'transferMoneyInThreePhases-committed', workflow: 'transferMoneyInThreePhases', input: transfer },
  {
    name: 'transferMoneyInThreePhases-refused',
    workflow: 'transferMoneyInThreePhases',
    input: transfer,
    answers: { 'prepare south-bank.credit': [refuses()] },
  },
  ofParticipant('told-committed', {}, { kind: 'tell', branch: 'recovered.debit' }),
  ofParticipant('orphaned-committed', {
    'recovery.read': [async () => 'none'],
    'recovery.decide': [async () => ({ decision: 'commit', by: 'another' })],
  }),
  ofTrip('accepted', { then: { kind: 'accept', branch: 'hotel.place' } }),
  ofTrip('refused', { answers: { 'try hotel.place': [refuses()] } }),
  ofTrip('expired', {}, 1),
  {
    name: 'recoverParticipant-terminated',
    workflow: 'recoverParticipant',
    input: { participant: 'recovered', graceMs: 1_000, everyMs: 100 },
    answers: {
      'recovery.watch': [
        survey(gone('decided'), gone('undecided'), gone('strange', { owned: false })),
        survey(gone('strange', { owned: false }), gone('split')),
        survey(),
        silent,
      ],
      'recovery.read decided': [async () => 'commit'],
      'recovery.read undecided': [async () => 'none'],
      'recovery.read strange': [async () => 'none'],
      'recovery.read split': [async () => 'commit'],
      'recovery.settle gid-split': [{ kind: 'heuristic', took: 'abort', evidence: 'By hand.' }],
    },
    then: { kind: 'end', branch: 'recovery.watch' },
  },
];
