/**
 * Three-phase commit with one mechanism taken away, or built as it is easily built wrong. Under the same circumstances the shipped
 * one keeps every promise.
 */
import {
  acknowledgingFirst,
  deafTo,
  hearing,
  leavingOut,
  leavingOutAfter,
  participating,
  proposing,
  waitingForEver,
} from './changed-participants';
import { SHIPPED } from './world';
import type { Circumstances, Mechanisms } from './world';
import type { MutantOf, SurvivorOf } from '../mutant';

export type Mutant = MutantOf<Circumstances, Mechanisms>;
export type Survivor = SurvivorOf<Circumstances, Mechanisms>;

const ASYNCHRONOUS: Circumstances = { mode: 'register', participants: 2, network: 'asynchronous' };
const THREE: Circumstances = { ...ASYNCHRONOUS, participants: 3 };
const SYNCHRONOUS: Circumstances = { mode: 'classic-unsafe', participants: 2, network: 'synchronous' };
const CRASHING: Circumstances = { ...SYNCHRONOUS, crashes: 1 };

const { coordinator } = SHIPPED;

/** Cast: a question to decide is about a decision. */
const itself = (about: unknown) => about as 'commit' | 'abort';

export const MUTANTS: readonly Mutant[] = [
  {
    mechanism: 'The register, for those who hear nothing',
    purpose:
      'A timer that fires is a request to end the transaction, and what is proposed then is decided by the register. It fires as well when all are alive and only a message is late.',
    without: 'Whoever hears nothing does what the others’ answers amount to.',
    circumstances: ASYNCHRONOUS,
    mechanisms: participating(
      leavingOut('register', () => 'none'),
      leavingOut('decide', itself),
    ),
  },
  {
    mechanism: 'Abort through the register, from those who are uncertain',
    purpose: 'Whoever has voted to commit cannot abort of its own accord any more, however long it waits.',
    without: 'Who is uncertain and finds nobody who knows more rolls back.',
    circumstances: ASYNCHRONOUS,
    mechanisms: participating(hearing('decide', (decided, about) => (about === 'abort' ? 'abort' : decided))),
  },
  {
    mechanism: 'Obeying the register, and no peer',
    purpose:
      'That a peer knows that all can commit is a reason to propose commit. Another one may have proposed to abort.',
    without: 'Who is pre-committed, or hears of one who is, commits.',
    circumstances: ASYNCHRONOUS,
    mechanisms: participating(hearing('decide', (decided, about) => (about === 'commit' ? 'commit' : decided))),
  },
  {
    mechanism: 'Obeying what the register answers a participant',
    purpose: 'A participant does what was decided, which may be something else than it proposed.',
    without: 'It does what it proposed: what its peers made it believe.',
    circumstances: ASYNCHRONOUS,
    mechanisms: participating(
      leavingOut('register', () => 'none'),
      hearing('decide', (_decided, about) => itself(about)),
    ),
  },
  {
    mechanism: 'Obeying what the register answers the coordinator',
    purpose: 'Participants that heard nothing of the coordinator may have ended the transaction before it decides.',
    without: 'The coordinator tells what it proposed.',
    circumstances: ASYNCHRONOUS,
    mechanisms: { coordinator: { ...coordinator, obeys: 'its proposal' } },
  },
  {
    mechanism: 'Abort through the register, from a coordinator that starts anew',
    purpose:
      'A coordinator that was reset does not know what it did before, and those that have ended do not answer it.',
    without: 'When a vote does not come, it tells everybody to abort.',
    circumstances: { ...ASYNCHRONOUS, resets: 'at any time' },
    mechanisms: { coordinator: { ...coordinator, decides: 'alone' } },
  },
  {
    mechanism: 'A register that is written once, with several who decide',
    purpose: 'The first decision stands, whoever proposes another one at the same time.',
    without: 'The last one to decide overwrites it.',
    circumstances: ASYNCHRONOUS,
    mechanisms: { register: 'overwritten' },
  },
  {
    mechanism: 'No commit from those who are uncertain',
    purpose: 'Whoever is uncertain cannot know that all have voted to commit.',
    without: 'It proposes to commit, because it could itself.',
    circumstances: ASYNCHRONOUS,
    mechanisms: participating(proposing('commit')),
  },
  {
    mechanism: 'A row before the acknowledgement',
    purpose: 'A pre-commit is written down before it is acknowledged (T2): an answer that a crash takes back is none.',
    without: 'The acknowledgement is sent, then the row is written.',
    circumstances: ASYNCHRONOUS,
    mechanisms: participating(acknowledgingFirst),
  },
  {
    mechanism: 'No pre-commit before all have voted',
    purpose: 'Who is pre-committed knows that all have voted to commit, and makes others commit.',
    without: 'The coordinator pre-commits as soon as one has voted to commit.',
    circumstances: ASYNCHRONOUS,
    mechanisms: { coordinator: { ...coordinator, preCommits: 'when one has voted' } },
  },
  {
    mechanism: 'Unanimity',
    purpose: 'A vote that has not come when the time is up is a vote to abort.',
    without: 'The coordinator takes silence for consent.',
    circumstances: ASYNCHRONOUS,
    mechanisms: { coordinator: { ...coordinator, silence: 'is a consent' } },
  },
  {
    mechanism: 'An abort where nobody knows whether the branch is prepared',
    purpose: 'A participant that cannot tell whether it has prepared votes abort, and rolls back what there may be.',
    without: 'It takes an attempt that was lost for prepared.',
    circumstances: { ...ASYNCHRONOUS, refusals: ['unknown'] },
    mechanisms: participating(hearing('prepare', (vote) => (vote === 'unknown' ? 'commit' : vote))),
  },
  {
    mechanism: 'Abort through the register, from those who cannot tell',
    purpose:
      'A participant that is reset begins anew, and may not learn now whether its branch is prepared. Before, it may have voted to commit.',
    without: 'Who cannot tell whether it is prepared votes abort, and rolls back.',
    circumstances: { ...ASYNCHRONOUS, refusals: ['unknown'], restarts: 'at any time' },
    mechanisms: participating(leavingOutAfter('vote', 'decide', 'abort')),
  },
  {
    mechanism: 'A timer of the participant’s own',
    purpose: 'Whoever hears nothing of the coordinator ends the transaction without it.',
    without: 'It waits for the coordinator.',
    circumstances: ASYNCHRONOUS,
    mechanisms: participating(waitingForEver),
  },
];

export const SURVIVORS: readonly Survivor[] = [
  {
    mechanism: 'Proposing commit where a peer is pre-committed',
    purpose: 'What everybody could commit is committed, although the coordinator is gone.',
    without: 'Whoever hears nothing proposes to abort.',
    because: 'The register takes one of the proposals, and all obey. It costs a transaction that could have committed.',
    circumstances: THREE,
    mechanisms: participating(proposing('abort')),
  },
  {
    mechanism: 'Asking the others, with a register',
    purpose: 'As above.',
    without: 'Whoever is uncertain and hears nothing proposes to abort, and asks nobody.',
    because: 'The same.',
    circumstances: THREE,
    mechanisms: participating(leavingOut('peers', () => [])),
  },
  {
    mechanism: 'Reading the register before anybody is asked',
    purpose: 'Whoever was away for long has old beliefs, and those who knew better have ended.',
    without: 'It asks the others, and proposes at once.',
    because: 'A proposal that comes too late is answered with what was decided. It costs a round of questions.',
    circumstances: THREE,
    mechanisms: participating(leavingOut('register', () => 'none')),
  },
  {
    mechanism: 'Waiting for acknowledgements, with a register',
    purpose: 'When the coordinator decides to commit, nobody who is left behind will propose to abort.',
    without: 'It proposes to commit as soon as all have voted.',
    because: 'Who proposes otherwise reads in the register that it came too late.',
    circumstances: THREE,
    mechanisms: { coordinator: { ...coordinator, waits: 'for nothing' } },
  },
];

export const CLASSIC_SURVIVORS: readonly Survivor[] = [
  {
    mechanism: 'Hearing that a peer has aborted, when asking',
    purpose: 'It is decided, whatever one knew before.',
    without: 'Only those count who are uncertain or know that all can commit.',
    because: 'Who tells the others that all can commit hears it then, before it commits.',
    circumstances: { ...CRASHING, participants: 3 },
    mechanisms: participating(deafTo('peers', 'aborted')),
  },
  {
    mechanism: 'Waiting for acknowledgements, where messages arrive',
    purpose: 'When the coordinator decides to commit, nobody but those who are down is uncertain.',
    without: 'It decides to commit as soon as all have been told that all can.',
    because: 'What it has told the others arrives, and they ask each other no sooner.',
    circumstances: { ...CRASHING, participants: 3 },
    mechanisms: { coordinator: { ...coordinator, waits: 'for nothing' } },
  },
];

export const CLASSIC_MUTANTS: readonly Mutant[] = [
  {
    mechanism: 'Asking those who are left',
    purpose: 'Timers tell that the coordinator is gone, not how far it came with the others.',
    without: 'The timer decides: who is pre-committed commits, who is uncertain aborts.',
    circumstances: SYNCHRONOUS,
    mechanisms: participating(
      leavingOut('peers', () => []),
      leavingOut('spread', () => []),
    ),
  },
  {
    mechanism: 'Telling the others before committing',
    purpose: 'Nobody commits while somebody who answers is uncertain (T1): if it crashes then, nobody else would know.',
    without: 'Who is pre-committed, or hears of one who is, commits.',
    circumstances: CRASHING,
    mechanisms: participating(leavingOut('spread', () => [])),
  },
  {
    mechanism: 'Hearing an abort while telling the others',
    purpose: 'One of them may have found nobody who knew, and have aborted.',
    without: 'Who has told the others commits, whatever they answer.',
    circumstances: { ...CRASHING, participants: 3 },
    mechanisms: participating(deafTo('spread', 'aborted')),
  },
  {
    mechanism: 'Hearing that a peer has committed',
    purpose: 'Who was down while the others committed comes back uncertain.',
    without: 'Only those count who are uncertain or know that all can commit.',
    circumstances: CRASHING,
    mechanisms: participating(deafTo('peers', 'committed')),
  },
  {
    mechanism: 'Writing down what one hears before passing it on',
    purpose: 'Who is asked next hears that it knows.',
    without: 'It passes on that all can commit, and stays uncertain itself. Two who do that wait for each other.',
    circumstances: { ...CRASHING, participants: 3 },
    mechanisms: participating(leavingOutAfter('peers', 'preCommit', 'done')),
  },
];
