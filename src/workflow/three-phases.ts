/**
 * The phases of three-phase commit: can everybody commit, does everybody know that, then do it. Participants are workflows of
 * their own, which end the transaction without us when we are gone.
 */
import { msToNumber } from '@temporalio/common/lib/time';
import { CancellationScope, condition } from '@temporalio/workflow';
import type { AbortReason, Decided } from '../protocol';
import { alarm } from './alarm';
import { byPlace, silenceOf, WITHDRAWN } from './collect-votes';
import type { ThreePhaseSettings } from './commit-options';
import type { OwnMember } from './member';
import { ParticipantLinks } from './participant-links';
import { conclude } from './phases';
import type { Attempt, Phases } from './phases';

export const threePhases = (settings: ThreePhaseSettings): Phases => ({
  protocol: 'three-phase-commit',
  onePhase: true,
  // A participant is a workflow, whose vote is a signal.
  evidence: 'vote',
  async run(attempt) {
    const links = new ParticipantLinks(attempt, settings);
    const asking = new CancellationScope({ cancellable: true, parent: CancellationScope.current() });
    const ended = await canCommit(attempt, links, settings);
    if (ended === undefined && attempt.box.ballot.tally === 'commit') await preCommit(attempt, links, settings);
    const decided = await conclude(
      {
        ...attempt,
        decided: (outcome) => {
          attempt.decided(outcome);
          links.announce(outcome.decision);
        },
      },
      ended,
      asking,
      {
        tell: (member, decision) =>
          links.followed(member, decision, (isDone) =>
            condition(isDone, settings.attemptTimeout, { summary: `ack timeout of ${member.id}` }),
          ),
        ...(settings.mode === 'classic-unsafe' ? { decide: decideAlone } : {}),
      },
    );
    await links.sent();
    return decided;
  },
});

/** @returns why the vote ended, where the ballot does not say so itself */
async function canCommit(
  { box: { ballot }, order, withdrawn }: Attempt,
  links: ParticipantLinks,
  { timeouts }: ThreePhaseSettings,
): Promise<AbortReason | undefined> {
  if (withdrawn()) return WITHDRAWN;
  const members = [...links.members].sort(byPlace);
  const prepareMs = msToNumber(timeouts.prepare);
  const voted = (asked: readonly OwnMember[]): boolean => asked.every(({ id }) => ballot.stands(id));
  let silent = false;
  const watch = alarm(prepareMs, 'vote timeout', () => (silent = true));
  try {
    for (const asked of order === 'at once' ? [members] : members.map((member) => [member])) {
      const starts = asked.map((member) => links.canCommit(member));
      await condition(() => silent || withdrawn() || ballot.tally === 'abort' || voted(asked));
      await Promise.all(starts);
      if (!voted(asked) || ballot.tally === 'abort') break;
    }
  } finally {
    watch.cancel();
  }
  if (ballot.tally !== 'pending') return undefined;
  if (!silent) return WITHDRAWN;
  const silentOnes = members.filter(({ id }) => !ballot.stands(id)).map(({ id }) => id);
  return silenceOf(silentOnes.join(', '), prepareMs);
}

/** All have voted `commit`: now they learn that of each other. Whoever does not answer in time is not waited for. */
async function preCommit(attempt: Attempt, links: ParticipantLinks, { patience }: ThreePhaseSettings): Promise<void> {
  const { ballot, preCommitted } = attempt.box;
  const members = links.members.filter(({ id }) => ballot.voteOf(id) === 'commit');
  if (members.length === 0) return;
  attempt.enter('pre-committing');
  let silent = false;
  const watch = alarm(patience.preCommitMs, 'pre-commit timeout', () => (silent = true));
  try {
    const sending = links.preCommit(members);
    await condition(() => silent || members.every(({ id }) => preCommitted.has(id)));
    await sending;
  } finally {
    watch.cancel();
  }
}

/** Classic: what the coordinator decides is in its history, and nowhere else. */
const decideAlone = (propose: Decided['decision'], reason: AbortReason | undefined): Promise<Decided> =>
  Promise.resolve({ decision: propose, by: 'coordinator', ...(reason === undefined ? {} : { reason }) });
