/** What a participant's worker tells of its database while that is there, while it is not, and when nobody looks any more. */
import type { Pool } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { METRICS } from '../../src/observability';
import { migrate } from '../../src/participant';
import { keepTellingParticipant } from '../../src/worker/tell-database';
import { Door } from '../door';
import { usePostgres } from '../participant/fixture';
import { quietPool } from '../quiet-pool';
import { recordGauges } from '../recording-meter';
import type { RecordingMeter } from '../recording-meter';

const postgres = usePostgres();
const OF_THE_DATABASE = [
  METRICS.inDoubt,
  METRICS.inDoubtOldestAge,
  METRICS.preparedSlotsUsed,
  METRICS.preparedSlots,
  METRICS.outboxPending,
  METRICS.outboxOldestAge,
  METRICS.outboxDeadLetters,
];
const FORGOTTEN_AFTER_MS = 1_000;

describe('how a database stands', () => {
  let recorded: RecordingMeter;
  let door: Door;
  let pool: Pool;
  let stop: () => Promise<void>;
  let databases = 0;
  const last = (names: readonly string[]): unknown => names.map((name) => recorded.last(name));
  const unseen = (): number | undefined => recorded.last(METRICS.databaseUnseen);
  const known = [0, 0, 0, 64, 0, 0, 0];
  const nothing = OF_THE_DATABASE.map(() => NaN);

  beforeEach(async () => {
    recorded = recordGauges();
    const url = new URL(await postgres.createService(`told_${++databases}`));
    door = new Door({ host: url.hostname, port: Number(url.port) });
    url.port = String(await door.open());
    pool = quietPool({ connectionString: url.href, max: 1 });
    await migrate(pool);
    stop = keepTellingParticipant(pool, 'bank', 'default', { everyMs: 20, forgottenAfterMs: FORGOTTEN_AFTER_MS });
    await expect.poll(() => last(OF_THE_DATABASE)).toEqual(known);
    expect(unseen()).toBeLessThan(FORGOTTEN_AFTER_MS / 1_000);
  });
  afterEach(async () => {
    door.reopen();
    await stop();
    await pool.end();
    await door.close();
  });

  it.each([
    ['is away', () => (door.shut = true)],
    ['does not answer', () => door.letNothingOut()],
  ])('is told no more where it %s, but for how long, until it is seen again', async (_, happens) => {
    happens();
    await expect.poll(unseen).toBeGreaterThan(0.1);
    await expect.poll(() => last(OF_THE_DATABASE)).toEqual(nothing);
    expect(unseen(), 'not at once').toBeGreaterThan(FORGOTTEN_AFTER_MS / 1_000);
    door.reopen();
    await expect.poll(() => last(OF_THE_DATABASE)).toEqual(known);
    await expect.poll(unseen).toBeLessThan(0.1);
  });

  it('is told no more by a worker that has stopped', async () => {
    await stop();
    expect(last([...OF_THE_DATABASE, METRICS.databaseUnseen])).toEqual([...nothing, NaN]);
  });
});
