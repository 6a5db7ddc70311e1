/** What a coordinator cannot read it takes for no answer: nothing is concluded from it, and nothing begins without it. */
import { Client } from '@temporalio/client';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TransactionClient } from '../../src/client';
import { twoPhaseFixture } from './fixture';
import type { Planned } from './workflows';

const fixture = twoPhaseFixture();
const { participants } = fixture;

/** Writes some payloads in a way that the coordinator does not know. */
const ofTomorrow = (which: (text: string) => boolean): PayloadCodec => ({
  encode: async (payloads) =>
    payloads.map((payload): Payload => {
      const data = payload.data ?? new Uint8Array();
      return which(Buffer.from(data).toString())
        ? { metadata: { encoding: Buffer.from('binary/of-tomorrow') }, data }
        : payload;
    }),
  decode: async (payloads) => payloads,
});

let worker: Worker;
let stopped: Promise<void>;
beforeAll(async () => {
  worker = await Worker.create({
    connection: fixture.environment.temporal.nativeConnection,
    taskQueue: 'tomorrow',
    activities: participants.activities(),
    dataConverter: { payloadCodecs: [ofTomorrow((text) => text.includes('"vote"'))] },
  });
  stopped = worker.run();
});
afterAll(async () => {
  worker.shutdown();
  await stopped;
});

const BRANCHES: readonly Planned[] = [
  { participant: 'north', operation: 'debit' },
  { participant: 'tomorrow', operation: 'credit' },
];

describe('a coordinator that cannot read', () => {
  it('an answer takes it for no vote: its task fails, and nothing is decided', async () => {
    const tale = await fixture.begin({ branches: BRANCHES, options: { votes: 'answer' } });
    await expect.poll(() => tale.taskFailure(), { timeout: 20_000 }).toMatch(/payload cannot be read.*of-tomorrow/);
    expect(tale.asked()).toEqual(expect.arrayContaining(['prepare tomorrow.credit']));
    expect([tale.decided, tale.askedToFinish(), await tale.handle.status()]).toEqual([undefined, [], 'RUNNING']);
    await tale.workflow.terminate();
  });

  it('what its transaction is about begins nothing', async () => {
    const { client } = fixture.environment.temporal;
    const dataConverter = { payloadCodecs: [ofTomorrow((text) => /^"[0-9a-f]{64}"$/.test(text))] };
    const id = `${fixture.nextId}-unread`;
    await new TransactionClient({ client: new Client({ connection: client.connection, dataConverter }) }).start(
      'settles',
      { id, input: { branches: BRANCHES } },
    );
    const failure = async (): Promise<string | null | undefined> =>
      (await client.workflow.getHandle(id).fetchHistory()).events?.find(
        (event) => event.workflowTaskFailedEventAttributes,
      )?.workflowTaskFailedEventAttributes?.failure?.message;
    await expect.poll(failure, { timeout: 20_000 }).toMatch(/Unknown encoding: binary\/of-tomorrow/);
    expect(participants.asked(id)).toEqual([]);
    await client.workflow.getHandle(id).terminate();
  });
});
