/** The phases of two-phase commit: every branch prepares and votes, then every branch follows the decision. */
import { CancellationScope } from '@temporalio/workflow';
import { collectVotes } from './collect-votes';
import { conclude } from './phases';
import type { Phases } from './phases';

export const twoPhases: Phases = {
  protocol: 'two-phase-commit',
  onePhase: true,
  evidence: 'answer',
  async run(attempt) {
    const asking = new CancellationScope({ cancellable: true, parent: CancellationScope.current() });
    const ended = await collectVotes({ ...attempt, ballot: attempt.box.ballot, asking });
    return conclude(attempt, ended, asking);
  },
};
