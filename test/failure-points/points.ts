/** Every point at which two-phase commit can be interrupted or deceived, what holds there, and the tests that fail without it. */

/** File under test/, without `.test.ts`, and a part of the title of one of its tests. */
type Shown = readonly [file: string, title: string];

export interface FailurePoint {
  readonly code: string;
  /** What happens. */
  readonly happens: string;
  readonly held: string;
  readonly tests: readonly Shown[];
}

export interface Section {
  readonly title: string;
  readonly points: readonly FailurePoint[];
}

const point = (code: string, happens: string, held: string, ...tests: readonly Shown[]): FailurePoint => ({
  code,
  happens,
  held,
  tests,
});

export const SECTIONS: readonly Section[] = [
  {
    title: 'The coordinator',
    points: [
      point(
        'C0',
        'A start is repeated, at the same time or long after',
        'The transaction id is the id of the workflow, and an id is not used twice; when Temporal has forgotten it, the register and the hash of the input answer',
        ['saga-more/start', 'starts one workflow for twenty callers at a time'],
        ['two-phase-commit/postgres', 'gives the same answer twice, also when Temporal asks everything anew'],
      ),
      point(
        'C0b',
        'Somebody asks about a transaction that nobody knows: not begun yet, or long gone?',
        'Not to be found decides nothing: whoever wants an answer writes `abort` into the register, and a coordinator or a prepare that comes later reads it',
        ['prepared/finish', 'cannot be made to commit later (P1, C0b)'],
        ['prepared/prepare', 'stops at once where the register of its own database says abort (C0b)'],
        ['prepared/recovery-settle', 'decides by what it is asked first (C0b)'],
      ),
      point(
        'C1',
        'The worker of the coordinator dies while it waits for votes',
        'Votes are kept by branch and never counted; a replay comes to the same',
        ['end-to-end/two-phase-faults', 'the worker of the coordinators is killed, and another one goes on'],
        ['replay/replay', 'all replay with the workflows of this build'],
      ),
      point(
        'C2',
        'It dies when all have voted, before the decision is written',
        'The replay proposes again; the register takes the first one',
        ['prepared/register', 'is not decided by an attempt that died before it had committed'],
      ),
      point(
        'C3',
        'The decision is written, and its answer is lost',
        'What the register returns is obeyed, not what was proposed',
        ['prepared/register', 'by one whose answer was lost (C2, C3)'],
        ['two-phase-commit/register', 'is asked again, and the answer of the first one that arrived stands'],
      ),
      point(
        'C4',
        'It is decided, and no branch has followed yet',
        'The register answers, with Temporal down too',
        ['prepared/finish', 'the register answers without Temporal (C4)'],
        ['cli/in-doubt', 'works with Temporal down, and says so'],
      ),
      point(
        'C5',
        'A cancellation comes between two commits',
        'From the decision on nothing can be cancelled: it comes too late',
        ['two-phase-commit/outcomes', 'comes too late'],
        ['two-phase-commit/operator', 'is all or nothing'],
      ),
      point(
        'C6',
        'A vote finds its coordinator closed',
        'That decides nothing: the branch stays prepared, and recovery asks the register',
        ['prepared/votes', 'finds its coordinator gone leaves the branch prepared'],
      ),
      point(
        'C7',
        'A vote and the end of its time come together',
        'The tally is closed once, and what comes after it is dropped',
        ['two-phase-commit/votes', 'that comes after the end of the vote is dropped'],
        ['two-phase-commit/votes', 'does not change by an answer that comes after the end of the vote'],
      ),
      point('C8', 'An attempt to decide is given up, and arrives later', 'The register is write-once', [
        'prepared/register',
        'is not changed by a decision that arrives late (C8)',
      ]),
    ],
  },
  {
    title: 'Preparing',
    points: [
      point(
        'P1',
        'Nobody ever asks the participant',
        'Silence ends the vote with an abort, which leaves a tombstone also where nothing ran',
        ['two-phase-commit/timeouts', 'because nobody polls its queue is named as silent'],
        ['prepared/finish', 'that was never asked to prepare obeys a proposal to abort'],
      ),
      point(
        'P2',
        'A session dies or hangs before PREPARE TRANSACTION and holds the key of its branch',
        'PostgreSQL ends it after `idleInTransactionMs`; until then others are told to come again',
        ['prepared/prepare-races', 'ends with nothing prepared (P8)'],
        ['prepared/register', 'when whoever holds its row has stopped (P2)'],
      ),
      point(
        'P3',
        'A statement fails, the operation goes on, and PREPARE TRANSACTION answers success with the tag ROLLBACK',
        'The tag is checked, whatever driver the operation uses',
        ['prepared/preparable', 'is not voted for, whether the work comes after it'],
        ['prepared/preparable', 'is not voted for with another copy of the driver either'],
      ),
      point(
        'P4',
        'The connection is lost while PREPARE TRANSACTION runs',
        'There is no vote; the next attempt waits for the key of the branch, which the old session holds',
        ['prepared/prepare-races', 'no vote, and the next attempt settles it'],
        ['prepared/prepare-races', 'the retry waits for the key'],
      ),
      point(
        'P5',
        'A participant dies when it has prepared, before its vote',
        'The next attempt finds the gid and votes again; without one, the abort rolls it back',
        ['prepared/votes', 'by an attempt that changes nothing (P5)'],
        ['end-to-end/two-phase-faults', 'and obey the register when they are back'],
      ),
      point('P6', 'A vote comes twice', 'Votes are kept by branch', [
        'two-phase-commit/votes',
        'counts once, however often it comes',
      ]),
      point(
        'P7',
        'The vote arrives, the answer of its activity is lost, and the prepare runs again after the decision',
        'The row of the branch says that it has committed',
        ['prepared/votes', 'when the answer was lost after the decision, and changes nothing (P7, P9)'],
      ),
      point(
        'P8',
        'An attempt that was given up goes on, while the abort is decided',
        'An abort is done when its tombstone is committed: its insert waits for the old attempt, and the loop rolls back what that prepared',
        ['prepared/prepare-races', 'ends with nothing prepared (P8)'],
        ['prepared/prepare', 'comes too late when it was aborted before (P8)'],
        ['prepared/recovery-settle', 'is waited for when an attempt of it is still open (P8)'],
      ),
      point(
        'P9',
        'An attempt that was given up goes on when its branch has committed',
        'The row of the branch refuses it: no second effect',
        ['prepared/votes', 'and changes nothing (P7, P9)'],
        ['fault-matrix/fault-matrix', 'keeps every promise with two faults at once'],
      ),
      point(
        'P10',
        'A vote to abort is followed by one to commit, of an older attempt',
        'A vote to abort is on record before it is sent, and final',
        ['prepared/votes', 'is on record before it is sent (P10)'],
        ['two-phase-commit/votes', 'to abort acts at once, and is final'],
      ),
      point(
        'P11',
        'A later transaction uses the same name',
        'A gid has a hash of the input; a decision about one input is not about another',
        ['prepared/gid', 'differs with whatever makes it another branch (P11)'],
        [
          'prepared/recovery-settle',
          'says nothing of another input under the same id but that it can never commit (P11)',
        ],
      ),
      point(
        'P12',
        '`max_prepared_transactions` is reached in the middle',
        'Who finds no slot is asked again (53200), until the time for votes is over. There is no semaphore before it: size the setting, and heed the warning at four fifths',
        ['prepared/slots', 'eight transactions of two branches all come to an end'],
        ['prepared/slots', 'one that finds none is asked again'],
        ['prepared/recovery-warnings', 'warns of slots that run out, before there is none'],
      ),
    ],
  },
  {
    title: 'PostgreSQL in the second phase',
    points: [
      point(
        'Q1',
        'COMMIT PREPARED was sent, and the connection is lost',
        'It is asked again; that there is none of that name (42704) says nothing, the row of the branch does',
        ['prepared/finish', 'is no answer, and asking again comes to the same'],
        ['prepared/recovery-settle', 'by its row when the record is forgotten'],
        ['prepared/languages', 'for 42704 says that there is none'],
        ['fault-matrix/fault-matrix', 'keeps every promise with one fault at each statement'],
      ),
      point(
        'Q2',
        'A backend is interrupted while it waits for the synchronous standby: its commit can be seen, and may be lost',
        'No statement timeout in the second phase, and nobody is told before the standby has it',
        ['prepared/standby', 'nobody is told a decision'],
        ['prepared/standby', 'no branch is acknowledged'],
        ['prepared/standby', 'a prepared branch does not vote'],
      ),
      point(
        'Q3',
        'PostgreSQL is down for hours',
        'The second phase is tried without end, is reported as overdue, and the coordinator stays open',
        ['two-phase-commit/timeouts', 'is tried for hours'],
        ['end-to-end/two-phase-faults', 'a coordinator does not give up a branch that is away'],
      ),
      point(
        'Q4',
        'The driver reports a session that was ended (57P01) as a failure of the statement',
        'In the second phase every error of a connection means that nothing is known',
        ['prepared/finish', 'because an administrator ended the session (57P01) proves nothing'],
        ['prepared/languages', 'says nothing of the transaction'],
      ),
      point(
        'Q5',
        'Somebody has finished a branch by hand',
        'The row and the decision disagree: it is held and shown with both sides, and reported as mixed when it is left so',
        ['prepared/interference', 'another branch owns up to'],
        ['two-phase-commit/held', 'can be left as it is: the outcome is mixed, with the evidence'],
        ['two-phase-commit/held', 'is not done a second time when it is left'],
      ),
    ],
  },
  {
    title: 'Operators of Temporal',
    points: [
      point(
        'O1',
        'A cancellation before the decision',
        'Aborts through the register, in a scope that cannot be cancelled',
        ['two-phase-commit/operator', 'is all or nothing'],
        ['two-phase-commit/outcomes', 'before the decision aborts'],
      ),
      point(
        'O2',
        'A coordinator is terminated, anywhere',
        'The recovery of each participant finishes what is prepared, by the register',
        ['two-phase-commit/operator', 'is all or nothing'],
        ['end-to-end/two-phase-faults', 'aborts what a terminated or deleted coordinator left undecided'],
      ),
      point(
        'O3',
        'A coordinator is reset to before its decision, with its signals or without',
        'It proposes again, and obeys what the register said the first time',
        ['two-phase-commit/operator', 'who resets it to any workflow task when it has committed, stays committed'],
        [
          'end-to-end/two-phase-faults',
          'a coordinator that is reset after the decision and then cancelled obeys the register',
        ],
      ),
      point(
        'O4',
        'A coordinator continues as new and loses signals',
        'It never does: a transaction has at most 64 branches, which one history holds',
        ['two-phase-commit/definition', '64 branches commits'],
      ),
      point(
        'O5',
        'A coordinator is deleted, or retention has removed it, while a branch is in doubt',
        'It closes only when every branch has followed; one that is not found is replaced by the register',
        ['two-phase-commit/operator', 'is all or nothing'],
        ['prepared/votes', 'that decides nothing (C6, O5)'],
      ),
      point(
        'O6',
        'A worker is pointed at another namespace, or at another Temporal whose namespace has the same name, and finds no coordinator at all',
        'With each branch the name and the unique id of its namespace are kept; recovery knows nothing of a coordinator elsewhere, and leaves its branch alone until the hard limit',
        ['prepared/recovery-watch', 'is unknown in another namespace, or without a name (O6)'],
        ['prepared/recovery-watch', 'is unknown to another Temporal that has a namespace of the same name'],
        ['end-to-end/two-phase-faults', 'because another Temporal has a namespace of the same name (O6)'],
      ),
      point(
        'O7',
        'A deployment that cannot replay what runs blocks its coordinators',
        'Recorded histories are replayed with each build; recovery may not abort what is decided',
        ['replay/replay', 'all replay with the workflows of this build'],
        ['prepared/recovery-settle', 'keeps a commit, whatever recovery proposes'],
      ),
    ],
  },
  {
    title: 'Infrastructure',
    points: [
      point(
        'I1',
        'Temporal restarts, and all timers that are over fire at once',
        'Each reads how things stand when it fires; the register takes the first decision',
        ['end-to-end/two-phase-faults', 'Temporal crashes and comes back'],
      ),
      point(
        'I2',
        'Temporal is restored from a backup or fails over with loss: what was done is done again from an old state',
        'The register. A reset does to a history what a restore does, and can be had at every event',
        ['two-phase-commit/operator', 'who does it at any event'],
        ['two-phase-commit/operator', 'who resets it to any workflow task when it has committed, stays committed'],
      ),
      point(
        'I3',
        'PostgreSQL crashes and restarts',
        'What is prepared is there again; everything is asked again',
        ['prepared/finish', 'while the server is down, and finds the branch prepared (I3)'],
        ['end-to-end/two-phase-faults', 'what was prepared and decided is there when they are back'],
      ),
      point(
        'I4',
        'A failover or a restore of one database loses a prepared transaction, or the register',
        'Out of promise: nothing can bring it back. A branch that is lost is detected, held and never called a success. A lost row of the register is not detected: replicate synchronously',
        ['prepared/finish', 'and nothing of it was ever there, it is lost (I4)'],
        ['two-phase-commit/held', 'is held, never called a success'],
        ['prepared/recovery-settle', 'is lost when its transaction is committed, and stays on the list'],
      ),
      point(
        'I5',
        'The network is cut between a worker, its database and Temporal',
        'As P4, P8 and Q3: each side waits, or finds out from rows',
        ['fault-matrix/fault-matrix', 'keeps every promise with one fault at each statement'],
        ['end-to-end/two-phase-faults', 'guesses nothing while a register is away'],
      ),
      point(
        'I6',
        'Clocks differ, or are set',
        'No clock decides: an age only lets recovery propose an abort, and a register that says commit answers commit',
        ['protocol/in-doubt', 'only delays what is done'],
        ['protocol/in-doubt', 'changes nothing of what was decided'],
      ),
      point(
        'I7',
        'A prepared transaction stops vacuum and keeps slots',
        'Recovery warns of age and of slots, in the log and as metrics; from the hard limit on it proposes an abort although a coordinator seems to run',
        ['prepared/recovery-warnings', 'warns of what is older than the grace period'],
        ['protocol/in-doubt', "['running beyond the limit'"],
      ),
      point(
        'G1',
        'Two transactions wait for each other in two databases, and no server sees a deadlock',
        'The lock timeout ends one; all is tried again after a pause at random, one branch after the other in an order that is the same everywhere',
        ['prepared/prepare-races', 'that wait for each other across two databases both end, and leave nothing (G1)'],
        ['two-phase-commit/register', 'in an order that is the same everywhere'],
        ['two-phase-commit/operator', 'all commit in the end, though nobody detects a deadlock between two databases'],
      ),
    ],
  },
];
