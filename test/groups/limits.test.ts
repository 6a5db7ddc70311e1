/** What keeps a group small, whatever its transactions ask for: what is under way at a time, and its history. */
import type { Client, WorkflowHandle } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { LARGEST_PAYLOAD_BYTES } from '../../src/protocol';
import type { GroupOutcome } from '../../src/protocol';
import { isTurnOf } from '../depth';
import { kinds, useGroups } from './fixture';
import type { Deed } from './workflows';

const groups = useGroups();

/** Of an input as PostgreSQL and Temporal get it: each letter takes two. */
const INPUT_BYTES = 40_000;
const large = (at: Deed['at']): Deed => ({ at, letters: INPUT_BYTES / 2 });

interface Question {
  readonly bytes: number;
  /** Of everything that was not answered when it was asked, itself included. */
  readonly underWay: number;
}

type Page = Awaited<ReturnType<Client['workflowService']['getWorkflowExecutionHistory']>>;
type Events = NonNullable<NonNullable<Page['history']>['events']>;

/** Few at a time, where all of them are more than one answer of Temporal may hold. */
async function eventsOf({ workflowId }: WorkflowHandle, maximumPageSize: number): Promise<Events> {
  const { namespace, client } = groups().server;
  const events: Events = [];
  let nextPageToken: Page['nextPageToken'] = new Uint8Array();
  do {
    const page: Page = await client.workflowService.getWorkflowExecutionHistory({
      namespace,
      execution: { workflowId },
      maximumPageSize,
      nextPageToken,
    });
    events.push(...(page.history?.events ?? []));
    ({ nextPageToken } = page);
  } while (nextPageToken.length > 0);
  return events;
}

/** The activities of a group, in the order in which it asked for them. */
async function questionsOf(group: WorkflowHandle, pageSize = 5): Promise<Question[]> {
  const sizes = new Map<string, number>();
  const questions: Question[] = [];
  let underWay = 0;
  for (const event of await eventsOf(group, pageSize)) {
    const { activityTaskScheduledEventAttributes: asked, activityTaskCompletedEventAttributes: answered } = event;
    if (asked) {
      const bytes = asked.input?.payloads?.[0]?.data?.length ?? 0;
      sizes.set(String(event.eventId), bytes);
      underWay += bytes;
      questions.push({ bytes, underWay });
    }
    if (answered) underWay -= sizes.get(String(answered.scheduledEventId)) ?? 0;
  }
  return questions;
}

const sum = (questions: readonly Question[]): number => questions.reduce((all, { bytes }) => all + bytes, 0);

const leftFullHistory = (outcomes: readonly GroupOutcome[]): GroupOutcome[] =>
  outcomes.filter((outcome) => outcome.kind === 'on-its-own' && outcome.why === 'the history of the group is full');

describe('a group', () => {
  it('has no more under way than one workflow task carries', async () => {
    const members = groups().members(45, [large('left')]);
    const group = await groups().begin('inSteps', members, 'runPatientGroup');
    const { outcomes } = await group.result();
    expect(new Set(kinds(outcomes))).toEqual(new Set(['ended']));
    const questions = await questionsOf(group);
    expect(sum(questions)).toBeGreaterThan(3 * LARGEST_PAYLOAD_BYTES);
    const most = Math.max(...questions.map(({ underWay }) => underWay));
    expect(most).toBeLessThan(2 * LARGEST_PAYLOAD_BYTES + 2 * INPUT_BYTES);
  });

  it.skipIf(!isTurnOf('limits of a group', 'how large'))(
    'hands over what would make its history too large',
    async () => {
      const members = [
        ...groups().members(20, [large('left')]),
        ...groups().members(60, [large('left'), large('right')]),
      ];
      const group = await groups().begin('inSteps', members, 'runPatientGroup');
      const { outcomes } = await group.result();
      const left = leftFullHistory(outcomes);
      expect(left.length).toBeGreaterThan(0);
      expect(outcomes.slice(0, 20).map(({ kind }) => kind)).toEqual(Array.from({ length: 20 }, () => 'ended'));
      expect(outcomes.filter(({ kind }) => kind === 'ended')).toHaveLength(members.length - left.length);
      expect(sum(await questionsOf(group))).toBeGreaterThan(3 * LARGEST_PAYLOAD_BYTES);
      // One answer of Temporal holds all of it, with what was handed over.
      const { events } = await group.fetchHistory();
      expect(events).toHaveLength((await eventsOf(group, 5)).length);
      for (const { id } of left) {
        await groups().transactions.handle(id).result();
        expect(await groups().marks(id)).toEqual(['left.act done', 'right.act done']);
      }
    },
    60_000,
  );

  it('ends when those that it has handed over have filled its history with what they returned', async () => {
    const waiting = { id: groups().newId(), deeds: [{ at: 'left', does: 'wait for the test' } as const] };
    const letGo = await groups().holdUp(waiting.id);
    const leaving = groups().members(25, [{ at: 'left', does: 'leave', ms: 150_000 }]);
    const group = await groups().begin('leavesWithMuch', [waiting, ...leaving], 'runPatientGroup');
    const { outcomes } = await group.result();
    await letGo();
    expect(leftFullHistory(outcomes)).toMatchObject([{ id: waiting.id }]);
    await groups().transactions.handle(waiting.id).result();
    expect(await groups().marks(waiting.id)).toEqual(['left.act done']);
  });

  it.skipIf(!isTurnOf('limits of a group', 'how long'))(
    'hands over what would make its history too long',
    async () => {
      const MOST = 200;
      const [long, short] = [MOST + 5, 2].map((steps) => ({
        id: groups().newId(),
        deeds: Array.from({ length: steps }, () => ({ at: 'left' }) as const),
      }));
      const group = await groups().begin('inSteps', [long!, short!], 'runPatientGroup');
      const { outcomes } = await group.result();
      expect(kinds(outcomes)).toEqual(['on-its-own', 'ended']);
      expect(leftFullHistory(outcomes)).toHaveLength(1);
      expect(await questionsOf(group, 500)).toHaveLength(MOST);
      // It goes on, and needs not be waited for.
      await groups().server.client.workflow.getHandle(long!.id).terminate();
      expect((await groups().marks(long!.id)).length).toBeGreaterThanOrEqual(MOST);
    },
    180_000,
  );
});
