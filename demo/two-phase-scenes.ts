/**
 * The same transfers by two-phase commit: refused by a vote, with a bank killed between PREPARE and its vote, with the
 * coordinator's worker killed after the decision, and with a coordinator that is terminated by hand and finished by recovery.
 */
import type { TransactionHandle } from 'temporal-txn/client';
import { readDecision } from 'temporal-txn/participant';
import type { Registered } from 'temporal-txn/participant';
import { euros, killAt, north, prepared, south, transfer, until } from './staging';
import type { Outcome, Scene, Stage } from './staging';

const ATOMICALLY = 'transferMoneyAtomically';
const tenEuros = transfer(euros(north('alice'), south('bob'), 10), ATOMICALLY);

export const twoPhaseScenes: readonly Scene[] = [
  {
    name: '2pc-transfer',
    story: 'Two-phase commit: Alice sends Bob 25 EUR; nobody books before all have agreed',
    expect: 'committed',
    because: 'all three databases voted commit',
    play: transfer(euros(north('alice'), south('bob'), 25), ATOMICALLY),
  },
  {
    name: '2pc-refused',
    story: 'Two-phase commit: to an account that does not exist; South Bank votes abort',
    expect: 'aborted',
    because: 'one vote to abort is enough, and there is nothing to undo',
    play: transfer(euros(north('alice'), south('nobody'), 25), ATOMICALLY),
  },
  {
    name: '2pc-no-vote',
    story: 'South Bank is killed (SIGKILL) after PREPARE TRANSACTION and before it votes',
    expect: 'committed',
    because: 'it came back, found what it had prepared, and voted',
    play: killedBeforeItsVote,
  },
  {
    name: '2pc-decided',
    story: 'The worker of the coordinators is killed right after the decision: two banks are in doubt',
    expect: 'committed',
    because: 'the decision is in a database, and the next worker went on from it',
    play: coordinatorKilledAfterTheDecision,
  },
  {
    name: '2pc-terminated',
    story: 'Somebody terminates the coordinator by hand, right after the decision',
    expect: 'committed',
    because: 'the recovery of each participant asked the register and finished its own branch',
    play: coordinatorTerminated,
    outcome: outcomeByRegister,
  },
];

async function killedBeforeItsVote(stage: Stage, id: string): Promise<TransactionHandle> {
  const bank = stage.workers['south-bank'];
  await stage.arm('south-bank', killAt('two-phase.prepared-before-vote'));
  const handle = await tenEuros(stage, id);
  await bank.died();
  stage.say(`South Bank is dead; ${await prepared(stage)} databases hold what they have prepared`);
  return handle;
}

async function coordinatorKilledAfterTheDecision(stage: Stage, id: string): Promise<TransactionHandle> {
  const handle = await stopAtTheDecision(stage, id);
  await stage.workers.transactions.kill();
  stage.say('the coordinators are dead; they are started again in a second');
  await stage.workers.transactions.died();
  return handle;
}

async function coordinatorTerminated(stage: Stage, id: string): Promise<TransactionHandle> {
  const handle = await stopAtTheDecision(stage, id);
  await stage.terminate(id);
  stage.say('terminated: no code of this transaction runs any more, anywhere');
  await until('recovery has finished what was prepared', async () => (await prepared(stage)) === 0);
  return handle;
}

/** North Bank, which has the register, writes the decision and then waits a moment before it goes on. */
async function stopAtTheDecision(stage: Stage, id: string): Promise<TransactionHandle> {
  await stage.arm('north-bank', [{ at: 'two-phase.decided-before-finish', action: { kind: 'delay', ms: 2_000 } }]);
  const handle = await tenEuros(stage, id);
  await until('it is decided', async () => (await decisionOf(stage, id)) !== undefined);
  stage.say(`the register of North Bank says ${(await decisionOf(stage, id))?.decision}; nobody has followed yet`);
  return handle;
}

const decisionOf = ({ databases }: Stage, id: string): Promise<Registered | undefined> =>
  readDecision(databases['north-bank'], id);

export async function outcomeByRegister(stage: Stage, id: string): Promise<Outcome> {
  const decided = await decisionOf(stage, id);
  return { outcome: decided?.decision === 'commit' ? 'committed' : 'aborted', why: `the register, by ${decided?.by}` };
}
