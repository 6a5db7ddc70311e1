/** What the activities of a worker draw, and what they draw not, by whatever sampler. */
import { trace } from '@opentelemetry/api';
import { AlwaysOnSampler } from '@opentelemetry/sdk-trace-node';
import { MockActivityEnvironment } from '@temporalio/testing';
import { inSpan, SPAN_ATTRIBUTES, traceContext } from 'temporal-txn/observability';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { traceHere } from './here';
import type { TracedHere } from './here';
import type { TracedSpan } from './spans';

let here: TracedHere;
beforeAll(() => {
  // One that asks nobody whether a trace is kept.
  here = traceHere(new AlwaysOnSampler());
});
afterAll(() => here.stop());

const named = (name: string): readonly TracedSpan[] => here.spans().filter((span) => span.name === name);

/** Runs an activity as a worker with the plugin does. */
async function run<T>(
  workflowType: string,
  activityType: string,
  work: (request: object) => Promise<T>,
  request = {},
): Promise<T> {
  const [plugin] = here.plugins;
  const { interceptors: given } = await plugin!.configureWorker({ taskQueue: 'here' });
  const environment = new MockActivityEnvironment(
    { workflowType, activityType, taskQueue: 'here' },
    { interceptors: given?.activity ?? [] },
  );
  return environment.run(work, request);
}

describe('an activity of a workflow that never ends', () => {
  it.each(['recoverParticipant', 'relayOutbox'])(
    'draws nothing of its own, by no sampler: one of %s',
    async (workflowType) => {
      const application = trace.getTracer('application');
      const work = (name: string) => async () => {
        application.startSpan(`${name}, by the application`).end();
        await inSpan({ name }, async () => undefined);
        return traceContext();
      };
      const before = here.spans().length;
      expect(await run(workflowType, 'watch', work(workflowType))).toEqual({});
      expect(here.spans().slice(before)).toEqual([]);
      // The same in one that ends is drawn.
      expect(await run('transfer', 'watch', work(`of ${workflowType}`))).toHaveProperty('traceparent');
      expect(named(`of ${workflowType}`)).toHaveLength(1);
      expect(named(`of ${workflowType}, by the application`)).toHaveLength(1);
    },
  );

  it('goes on with the trace of an event', async () => {
    const id = '0af7651916cd43dd8448eb211c80319c';
    const continues = { traceparent: `00-${id}-b7ad6b7169203331-01` };
    await run('relayOutbox', 'relay', () => inSpan({ name: 'published', continues }, async () => undefined));
    expect(named('published')).toMatchObject([{ trace: id }]);
  });
});

describe('an activity of the application whose request looks like ours', () => {
  const request = { transaction: 'order-1', branch: 'theirs', input: {} };

  it.each([
    'ann@example.org',
    { answer: 'ann@example.org', reason: { code: 'of ann@example.org' } },
    { kind: 'toString', refusal: { code: 'of ann@example.org' } },
  ])('tells nothing of what it returns: %j', async (answer) => {
    const before = here.spans().length;
    expect(await run('transfer', 'lookUp', async () => answer, request)).toEqual(answer);
    const [span] = here.spans().slice(before);
    expect(span).toMatchObject({
      name: 'RunActivity:lookUp',
      attributes: { [SPAN_ATTRIBUTES.transaction]: 'order-1' },
    });
    expect(Object.keys(span!.attributes)).not.toContain(SPAN_ATTRIBUTES.outcome);
    expect(span!.text).not.toMatch(/ann|toString/);
  });
});
