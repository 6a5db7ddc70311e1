/** What the metrics tell of transactions that leave their group, late or after a while: each once, from its beginning in the group on. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { requestOf } from '../../src/client/request';
import { METRICS } from '../../src/observability';
import { GROUP_WORKFLOW, groupId, MANY } from '../../src/protocol';
import type { GroupAnswer, GroupRequest, ManyAnswers, ManyRequest } from '../../src/protocol';
import { TransactionTestEnvironment } from '../../src/testing';
import { BufferedMetrics } from '../buffered-metrics';
import { bundleWorkflows } from '../bundle';
import { compiledWorkflows } from '../saga-more/environment';
import { surviveStandingClock } from '../standing-clock';
import { kinds } from './fixture';
import type { Member } from './fixture';
import type { Deed } from './workflows';

/** What is written of a step in a test. */
type Asked = { readonly input: Deed };

const applied = ({ input: { does, ms = 0 } }: Asked) => ({
  answer: 'applied',
  result: does === 'return much' ? 'x'.repeat(ms) : 'done',
});

const answeredIn = (request: Asked): ManyAnswers['answers'][number] =>
  request.input.does === 'be late in a group' ? 'not-yet' : { answer: applied(request) };

const participant = {
  act: async (request: Asked) => applied(request),
  // Cast: steps are all that is asked for here.
  [MANY]: async ({ items }: ManyRequest): Promise<ManyAnswers> => ({
    answers: items.map(({ request }) => answeredIn(request as Asked)),
  }),
};

const metrics = new BufferedMetrics();
let environment: TransactionTestEnvironment | undefined;
let count = 0;

const running = {
  async start(): Promise<void> {
    if (!environment) await metrics.install();
    metrics.start();
    environment = await TransactionTestEnvironment.start({
      workflows: await bundleWorkflows(compiledWorkflows('groups')),
      participants: { left: participant, right: participant },
    });
  },
  async stop(): Promise<void> {
    metrics.stop();
    await environment?.stop();
  },
};
beforeAll(() => running.start());
afterAll(() => running.stop());
surviveStandingClock(running);

const here = (): TransactionTestEnvironment => {
  if (!environment) throw new Error('The environment is started by beforeAll.');
  return environment;
};

const member = (deed: Deed): Member => ({ id: `told-${++count}`, deeds: [deed] });

/** Runs a group, and waits for those that have left it. @returns what became of each */
async function run(type: string, members: readonly Member[], workflow: string = GROUP_WORKFLOW): Promise<string[]> {
  const { client } = here().temporal;
  const items = members.map(({ id, deeds }) => ({ id, input: deeds, request: requestOf(id, deeds).hash }));
  const { outcomes } = await client.workflow.execute<(request: GroupRequest) => Promise<GroupAnswer>>(workflow, {
    workflowId: groupId(type, `${++count}`),
    taskQueue: 'transactions',
    args: [{ type, items }],
  });
  for (const outcome of outcomes)
    if (outcome.kind === 'on-its-own') await client.workflow.getHandle(outcome.id).result();
  return kinds(outcomes);
}

const told = () => ({
  transactions: metrics.told(METRICS.transactions, { outcome: 'committed' }).sum,
  durations: metrics.told(METRICS.transactionDuration).times,
  participants: metrics.told(METRICS.participants).times,
});

let before = told();
beforeEach(() => {
  before = told();
});

const since = () => {
  const now = told();
  return {
    transactions: now.transactions - before.transactions,
    durations: now.durations - before.durations,
    participants: now.participants - before.participants,
  };
};

const ONCE_EACH = { transactions: 4, durations: 4, participants: 4 };

describe('transactions that have ended when they leave their group', () => {
  it('are told of once each where what they return is more than JSON', async () => {
    const members = [1, 2, 3].map(() => member({ at: 'left', does: 'return bytes' }));
    const outcomes = await run('strange', [...members, member({ at: 'left' })]);
    expect(outcomes).toEqual(['on-its-own', 'on-its-own', 'on-its-own', 'ended']);
    await expect.poll(since).toEqual(ONCE_EACH);
  });

  it('are told of once each where the answer of the group has no room for what they return', async () => {
    const members = [1, 2, 3, 4].map(() => member({ at: 'left', does: 'return much', ms: 200_000 }));
    expect((await run('inSteps', members)).sort()).toEqual(['ended', 'ended', 'on-its-own', 'on-its-own']);
    await expect.poll(since).toEqual(ONCE_EACH);
  });
});

const secondsTold = (): number => metrics.told(METRICS.transactionDuration).sum;

describe('how long a transaction took', () => {
  it('counts what it waited for in its group before it went on alone', async () => {
    const secondsBefore = secondsTold();
    const members = [1, 2, 3].map(() => member({ at: 'left', does: 'be late in a group' }));
    expect(await run('inSteps', members, 'runImpatientGroup')).toEqual(['on-its-own', 'on-its-own', 'on-its-own']);
    await expect.poll(() => since().durations).toBe(3);
    // The group waits for a second.
    expect(secondsTold() - secondsBefore).toBeGreaterThanOrEqual(3);
  });

  it('counts what it waited for before it was resumed', async () => {
    const secondsBefore = secondsTold();
    const { temporal, transactions } = here();
    const asked = { id: `told-${++count}`, input: [{ at: 'left' }, { at: 'right' }] };
    await transactions.start('restsBetween', asked);
    const interrupted = temporal.client.workflow.getHandle(asked.id);
    await expect
      .poll(async () => (await interrupted.fetchHistory()).events?.at(-1)?.timerStartedEventAttributes)
      .toBeTruthy();
    await here().sleep('30 minutes');
    await interrupted.terminate();
    await here().sleep('1 hour');
    await (await transactions.resume('restsBetween', asked)).result();
    await expect.poll(() => since().durations).toBe(1);
    const seconds = secondsTold() - secondsBefore;
    expect(seconds).toBeGreaterThanOrEqual(2.5 * 3_600);
    expect(seconds).toBeLessThan(3 * 3_600);
  });
});
