/**
 * Two-phase commit with one mechanism taken away, or built as it is easily built wrong. Each is explored under the smallest
 * circumstances in which the mechanism is missed; under the same ones the shipped protocol keeps every promise.
 */
import { Ballot } from '../../src/protocol';
import { CountedVotes, LastVotes, SilenceConsents, TokenlessVotes } from './changed-ballots';
import { aborting, committing, leavingOut, preparing, taking } from './changed-programs';
import { SHIPPED } from './mechanisms';
import type { Mechanisms } from './mechanisms';
import type { Circumstances } from './world';
import type { MutantOf, SurvivorOf } from './mutant';

export type Mutant = MutantOf<Circumstances, Mechanisms>;
export type Survivor = SurvivorOf<Circumstances, Mechanisms>;

const TWO = ['ordinary', 'ordinary'] as const;

/** Nobody interferes, and nobody comes to help. */
const ALONE: Circumstances = { branches: TWO, faults: 0, votes: 'answer', recovery: 'down' };
const ONE_FAULT: Circumstances = { ...ALONE, faults: 1 };
const RESET: Circumstances = { ...ALONE, resets: 1 };
const TERMINATED: Circumstances = { ...ALONE, recovery: 'at work', terminations: 1 };
const INTERFERED: Circumstances = { ...ALONE, hands: 1 };

const { coordinator } = SHIPPED;

export const MUTANTS: readonly Mutant[] = [
  {
    mechanism: 'A row that keeps other attempts out',
    purpose:
      'Each attempt begins with its branch-log row, in the transaction of its work. As long as one of them has the key, no other gets in.',
    without: 'The row is written, but its key is not unique.',
    circumstances: { ...ALONE, faults: 2 },
    mechanisms: { fence: 'excludes nobody', ...preparing(taking('prepare', ['refusal'], 'again')) },
  },
  {
    mechanism: 'The row and the work in one transaction',
    purpose: 'The row is committed with the work or not at all, so where it stands, the work took effect.',
    without: 'The row is committed first, in a transaction of its own.',
    circumstances: { ...ONE_FAULT, timeout: 'never' },
    mechanisms: { fence: 'before the work' },
  },
  {
    mechanism: 'One name for all attempts of a branch',
    purpose:
      'The gid and the key of the row carry no attempt number, so a branch has one prepared transaction and no more.',
    without: 'The number of the attempt is part of both.',
    circumstances: ONE_FAULT,
    mechanisms: { gid: 'of the attempt' },
  },
  {
    mechanism: 'The command tag of PREPARE TRANSACTION',
    purpose:
      'Of a transaction in which a statement had failed PostgreSQL prepares nothing and reports success. Only the command tag, ROLLBACK, tells.',
    without: 'What raises no error counts as prepared.',
    circumstances: { ...ALONE, moods: 1 },
    mechanisms: preparing(taking('prepare', ['ROLLBACK'], 'PREPARE')),
  },
  {
    mechanism: 'Adopting what an earlier attempt prepared',
    purpose:
      'A retry that finds the key held looks for its gid. What an attempt prepared before it died is voted for, not waited for.',
    without: 'A retry waits for the key.',
    circumstances: { ...ONE_FAULT, timeout: 'never' },
    mechanisms: preparing(taking('findPrepared', ['ours'], 'none')),
  },
  {
    mechanism: 'A refusal that is stored before it is voted',
    purpose: 'A vote to abort is final, because a row that forbids the branch for ever is committed before it is sent.',
    without: 'The vote is sent as soon as the work has been rolled back.',
    circumstances: { ...ONE_FAULT, moods: 1 },
    mechanisms: preparing(leavingOut('refuse', 'stored')),
  },
  {
    mechanism: 'Votes kept by branch',
    purpose: 'A vote that comes twice, or by signal and as an answer, is one vote.',
    without: 'Votes are counted.',
    circumstances: { ...ALONE, votes: 'signal' },
    mechanisms: { ballot: (_transaction, voters) => new CountedVotes(voters) },
  },
  {
    mechanism: 'A vote to abort that nothing revokes',
    purpose: 'Once a branch has voted abort, no other vote of it counts.',
    without: 'The last vote of a branch counts.',
    circumstances: { ...ALONE, votes: 'signal', forgeries: 1, moods: 1 },
    mechanisms: { ballot: (_transaction, voters) => new LastVotes(voters) },
  },
  {
    mechanism: 'The participant’s own answer as evidence',
    purpose:
      'Whoever may signal can send a vote. A signal to commit counts only with the answer of the worker that has read its own database.',
    without: 'The signal is enough.',
    circumstances: { ...ALONE, votes: 'signal', forgeries: 1 },
    mechanisms: {
      ballot: (transaction, voters) =>
        new Ballot(
          transaction,
          voters.map((voter) => ({ ...voter, evidence: 'vote' })),
        ),
    },
  },
  {
    mechanism: 'The token of the request',
    purpose:
      'A vote counts only with the token of the request that it answers. Where there is nobody to ask for evidence, it is all there is.',
    without: 'The token is not compared.',
    circumstances: { ...ALONE, votes: 'signal', branches: ['ordinary', 'external'], forgeries: 1 },
    mechanisms: { ballot: (transaction, voters) => new TokenlessVotes(transaction, voters) },
  },
  {
    mechanism: 'Silence is no consent',
    purpose: 'A vote that has not come when the time is up is a vote to abort.',
    without: 'When the time is up, the votes that have come decide.',
    circumstances: ALONE,
    mechanisms: { ballot: (transaction, voters) => new SilenceConsents(transaction, voters) },
  },
  {
    mechanism: 'The register, when the coordinator starts anew',
    purpose:
      'The decision is a row in the database of the first branch. A history can be reset; the row stays, and the new run reads it.',
    without: 'Only the coordinator knows what it decided.',
    circumstances: RESET,
    mechanisms: { register: 'none' },
  },
  {
    mechanism: 'The register, when the coordinator is gone',
    purpose: 'Recovery learns the decision from a database, with Temporal down or the workflow terminated.',
    without: 'There is no register, and recovery takes a coordinator that is gone for an abort.',
    circumstances: TERMINATED,
    mechanisms: { register: 'none', recovery: 'presumes abort' },
  },
  {
    mechanism: 'A register that is written once',
    purpose: 'The first decision stands, whoever proposes another one later.',
    without: 'The last one to decide overwrites it.',
    circumstances: RESET,
    mechanisms: { register: 'overwritten' },
  },
  {
    mechanism: 'Obeying what the register answers',
    purpose: 'The coordinator does what was decided, which may be something else than it proposed.',
    without: 'It does what it proposed.',
    circumstances: RESET,
    mechanisms: { coordinator: { ...coordinator, obeys: 'its proposal' } },
  },
  {
    mechanism: 'Abort through the register',
    purpose: 'An abort is decided in the register too: commit may have been decided before, or may still be.',
    without: 'Whoever wants to abort tells the branches at once.',
    circumstances: RESET,
    mechanisms: { coordinator: { ...coordinator, aborts: 'at once' } },
  },
  {
    mechanism: 'Recovery',
    purpose: 'What is prepared and not finished is found and finished, whatever has become of its coordinator.',
    without: 'Nobody looks.',
    circumstances: TERMINATED,
    mechanisms: { recovery: 'none' },
  },
  {
    mechanism: 'A presumption that is written down before it is used',
    purpose: 'Where nothing is decided, recovery has abort decided in the register, and obeys what it answers.',
    without: 'Recovery rolls back, because nothing was decided when it looked.',
    circumstances: TERMINATED,
    mechanisms: { recovery: 'presumes abort' },
  },
  {
    mechanism: 'Recovery that never presumes commit',
    purpose: 'That one branch is prepared says nothing of the others.',
    without: 'Recovery commits what is prepared when its coordinator is gone.',
    circumstances: TERMINATED,
    mechanisms: { recovery: 'presumes commit' },
  },
  {
    mechanism: 'Reading the row after 42704 at COMMIT PREPARED',
    purpose:
      'For an unknown gid PostgreSQL says the same whether the branch was committed before or its prepared transaction is lost. The row tells.',
    without: '42704 counts as committed.',
    circumstances: INTERFERED,
    mechanisms: committing(taking('commitPrepared', ['unknown'], 'done')),
  },
  {
    mechanism: 'A branch that only reads has nothing to finish, and says so',
    purpose:
      'It ended with its vote and left no row. After a reset nobody may know its vote any more, and it is asked to commit.',
    without: 'It looks for what it has prepared, finds nothing, and is taken for lost.',
    circumstances: { branches: ['ordinary', 'read-only'], faults: 1, resets: 1, votes: 'answer' },
    mechanisms: { readOnlyBranch: 'looks for what it prepared' },
  },
  {
    mechanism: 'Reading the row that an abort finds',
    purpose:
      'A row that is there already may say that the branch took effect. Then nobody may be told that it did not.',
    without: 'Any row counts as aborted.',
    circumstances: INTERFERED,
    mechanisms: aborting(taking('look', ['applied'], 'fenced')),
  },
  {
    mechanism: 'The row that an abort leaves behind',
    purpose:
      'An abort is done when a row is committed that keeps late attempts out, not when there is nothing to roll back.',
    without: 'An abort ends with ROLLBACK PREPARED.',
    circumstances: ALONE,
    mechanisms: aborting(leavingOut('tombstone', 'inserted')),
  },
  {
    mechanism: 'Waiting for a late attempt',
    purpose:
      'As long as a late attempt holds the key it can still prepare, so an abort goes round until it is out of the way.',
    without: 'An abort whose row is blocked counts as done.',
    circumstances: ALONE,
    mechanisms: aborting(taking('tombstone', ['blocked'], 'inserted')),
  },
  {
    mechanism: 'Closing when all have followed',
    purpose: 'The client hears "committed" when it can be seen in every database.',
    without: 'The coordinator closes as soon as it has decided.',
    circumstances: { ...ALONE, recovery: 'at work' },
    mechanisms: { coordinator: { ...coordinator, closes: 'when it is decided' } },
  },
  {
    mechanism: 'Telling nobody before it is decided',
    purpose: 'That all have voted to commit is not a decision: the register may say otherwise.',
    without: 'The client hears what the coordinator is about to propose.',
    circumstances: ALONE,
    mechanisms: { coordinator: { ...coordinator, tells: 'before it decides' } },
  },
  {
    mechanism: 'No cancellation after the decision',
    purpose: 'From the decision on, nothing cancels the coordinator.',
    without: 'A cancellation turns it to aborting at any time.',
    circumstances: ALONE,
    mechanisms: { coordinator: { ...coordinator, heedsCancel: 'always' } },
  },
];

export const SURVIVORS: readonly Survivor[] = [
  {
    mechanism: 'The row that an abort leaves behind, with recovery at work',
    purpose: 'As above.',
    without: 'An abort ends with ROLLBACK PREPARED.',
    because:
      'What a late attempt prepares is found by recovery, and the register says abort. Until then it holds its locks.',
    circumstances: { ...ONE_FAULT, recovery: 'at work' },
    mechanisms: aborting(leavingOut('tombstone', 'inserted')),
  },
  {
    mechanism: 'Waiting for a late attempt, with recovery at work',
    purpose: 'As above.',
    without: 'An abort whose row is blocked counts as done.',
    because: 'The same.',
    circumstances: { ...ONE_FAULT, recovery: 'at work' },
    mechanisms: aborting(taking('tombstone', ['blocked'], 'inserted')),
  },
  {
    mechanism: 'The token of the request, at a branch of ours',
    purpose: 'A vote of before a reset answers another request.',
    without: 'The token is not compared.',
    because: 'A signal to commit counts only with the answer of the participant, and that is asked for anew.',
    circumstances: { ...RESET, votes: 'signal' },
    mechanisms: { ballot: (transaction, voters) => new TokenlessVotes(transaction, voters) },
  },
  {
    mechanism: 'Asking the register before the work',
    purpose: 'A coordinator that starts late, after its transaction was aborted, stops at its first step.',
    without: 'The primary does its work without a look.',
    because: 'The register answers abort in the end all the same. The look only saves the work.',
    circumstances: RESET,
    mechanisms: preparing(leavingOut('register', 'none')),
  },
  {
    mechanism: 'Looking for the gid before waiting for the key',
    purpose: 'A retry that knows its gid is prepared need not wait for a lock that cannot become free.',
    without: 'A retry begins like a first attempt.',
    because: 'When it finds the key held, it looks then. That costs one lock timeout.',
    circumstances: { ...ONE_FAULT, timeout: 'never' },
    mechanisms: { prepare: () => SHIPPED.prepare('first') },
  },
];
