/** What recovery tells an operator each time it looks: branches that are in doubt for too long, and slots that run out. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { LogEntry } from '@temporalio/worker';
import { participantActivities } from 'temporal-txn/participant';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bank } from './bank';
import { settle, SHORT, useBanks } from './fixture';
import type { PreparedBranch } from './fixture';

/** The warning comes from four of five on. */
const banks = useBanks({ max_prepared_transactions: 5 });

/** What one look says at the level of a warning and above. */
async function warningsOf(graceMs: number): Promise<LogEntry[]> {
  const { south } = banks;
  const told: LogEntry[] = [];
  const logger = new DefaultLogger('WARN', (entry) => void told.push(entry));
  const activities = participantActivities(bank, { pool: south.pool, timeouts: SHORT });
  const look = activities['recovery.watch'] as (request: object) => Promise<unknown>; // Cast: as Temporal calls it.
  await new MockActivityEnvironment({ taskQueue: 'south', startToCloseTimeoutMs: 9_000 }, { logger }).run(look, {
    graceMs,
    forMs: 0,
    everyMs: 1,
    known: [],
  });
  return told;
}

/** Branches that nobody decides. They end with the test. */
async function prepare(count: number): Promise<PreparedBranch[]> {
  const { south } = banks;
  const branches: PreparedBranch[] = [];
  onTestFinished(async () => {
    for (const { gid } of branches) await settle(south, gid, 'abort');
  });
  while (branches.length < count) branches.push(await south.prepareBranch());
  return branches;
}

describe('a look at what is prepared', () => {
  it('says nothing when there is nothing', async () => {
    expect(await warningsOf(0)).toEqual([]);
  });

  it('says nothing of what is young, and warns of what is older than the grace period: how many, and how old', async () => {
    await prepare(2);
    expect(await warningsOf(60_000)).toEqual([]);
    await banks.south.rows('select pg_sleep(1.2)');
    expect(await warningsOf(500)).toEqual([
      expect.objectContaining({
        level: 'WARN',
        message: 'Branches are in doubt for longer than the grace period',
        meta: expect.objectContaining({ participant_id: 'south', count: 2, oldestAgeSeconds: expect.any(Number) }),
      }),
    ]);
    const [warning] = await warningsOf(500);
    expect(warning?.meta?.['oldestAgeSeconds']).toBeGreaterThanOrEqual(1);
  });

  it('warns of slots that run out, before there is none', async () => {
    await prepare(3);
    expect(await warningsOf(60_000)).toEqual([]);
    await prepare(1);
    expect(await warningsOf(60_000)).toEqual([
      expect.objectContaining({
        level: 'WARN',
        message: 'Prepared transactions use most of max_prepared_transactions',
        meta: expect.objectContaining({ participant_id: 'south', used: 4, limit: 5 }),
      }),
    ]);
  });
});
