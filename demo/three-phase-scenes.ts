/**
 * A transfer by three-phase commit, and one whose coordinator is terminated when everybody knows that everybody can commit: its
 * participants commit without it.
 */
import type { TransactionHandle } from 'temporal-txn/client';
import { euros, north, prepared, south, transfer, until } from './staging';
import type { Scene, Stage } from './staging';
import { outcomeByRegister } from './two-phase-scenes';

const IN_THREE_PHASES = 'transferMoneyInThreePhases';

export const threePhaseScenes: readonly Scene[] = [
  {
    name: '3pc-transfer',
    story: 'Three-phase commit: Alice sends Bob 15 EUR',
    expect: 'committed',
    because: 'all voted commit, all learnt that of each other, then all booked',
    play: transfer(euros(north('alice'), south('bob'), 15), IN_THREE_PHASES),
  },
  {
    name: '3pc-terminated',
    story: 'Somebody terminates the coordinator after pre-commit and before any decision',
    expect: 'committed',
    because: 'the participants heard nothing, asked the register, and committed without it',
    play: terminatedAfterPreCommit,
    outcome: outcomeByRegister,
  },
];

/** North Bank is slow to say that it is pre-committed, so that there is a moment in which all are and nothing is decided. */
async function terminatedAfterPreCommit(stage: Stage, id: string): Promise<TransactionHandle> {
  await stage.arm('north-bank', [{ at: 'three-phase.pre-committed-before-ack', action: { kind: 'delay', ms: 1_500 } }]);
  const handle = await transfer(euros(north('alice'), south('bob'), 10), IN_THREE_PHASES)(stage, id);
  await until('all are pre-committed', async () => (await prepared(stage, 'pre-committed')) === 3);
  await stage.terminate(id);
  stage.say('terminated: three databases hold what they have prepared, and nobody has decided');
  await until('they have ended it', async () => (await prepared(stage)) === 0);
  return handle;
}
