/** A million events in the queue, and a million that left it and cannot be removed yet: no question of the relay gets slower by them. */
import { outboxStatus } from 'temporal-txn/outbox';
import type { Pool } from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { claim, markPublished, own } from '../../src/outbox/relay/queue';
import type { Claim, OwnedPartition, QueuedEvent } from '../../src/outbox/relay/queue';
import { usePostgres } from '../participant/fixture';
import { inTransaction, openTransaction } from './fixture';
import { useDatabase } from './event-store/fixture';

const MILLION = 1_000_000;
const KEYS = 50_000;
const BATCH = 500;

const database = useDatabase(usePostgres(), 'million');
let owned: OwnedPartition[];

beforeAll(async () => {
  const { pool } = database;
  await pool.query(
    `insert into txn.outbox_key select 'key-' || n, ${MILLION / KEYS} from generate_series(0, ${KEYS - 1}) n`,
  );
  await pool.query(`
    insert into txn.outbox (id, source, type, key, version, data)
    select 'event-' || n, '/shop', 'Happened', 'key-' || n % ${KEYS}, n / ${KEYS} + 1, '{"total": 1}'
      from generate_series(0, ${MILLION - 1}) n order by n`);
  await pool.query(`
    insert into txn.outbox_queue (key, version, position, partition)
    select key, version, position, hashtextextended(key, 0) & 15 from txn.outbox order by position`);
  await pool.query('vacuum analyze txn.outbox, txn.outbox_queue, txn.outbox_key');
  owned = await own(
    pool,
    Array.from({ length: 16 }, (_, n) => n),
    'test',
  );
});

/** What PostgreSQL says of one step of a plan. */
interface Step {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: readonly Step[];
}

interface Statement {
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** The statement that a function sends, instead of its answer. */
async function statementOf(ask: (pool: Pool) => Promise<unknown>): Promise<Statement> {
  let sent: Statement | undefined;
  const pool = {
    query: async (statement: string | Statement, values?: readonly unknown[]) => {
      sent = typeof statement === 'string' ? { text: statement, ...(values ? { values } : {}) } : statement;
      return { rows: [{}] };
    },
  };
  // Cast: all of a pool that is asked for.
  await Promise.allSettled([ask(pool as unknown as Pool)]);
  if (!sent) throw new Error('Nothing was sent.');
  return sent;
}

async function explain(ask: (pool: Pool) => Promise<unknown>): Promise<Step[]> {
  const { text, values = [] } = await statementOf(ask);
  const { rows } = await database.pool.query<{ 'QUERY PLAN': [{ Plan: Step }] }>(
    `explain (analyze, buffers, format json) ${text}`,
    [...values],
  );
  const [row] = rows;
  return row ? stepsOf(row['QUERY PLAN'][0].Plan) : [];
}

const stepsOf = (step: Step): Step[] => [step, ...(step.Plans ?? []).flatMap(stepsOf)];
const rowsOf = (step: Step): number =>
  (step['Actual Rows'] + (step['Rows Removed by Filter'] ?? 0)) * step['Actual Loops'];
const blocksOf = ([top]: readonly Step[]): number => (top ? top['Shared Hit Blocks'] + top['Shared Read Blocks'] : 0);
const ofLarge = (steps: readonly Step[]): Step[] =>
  steps.filter((step) => ['outbox', 'outbox_queue'].includes(step['Relation Name'] ?? ''));

const claiming = (more: Partial<Claim> & { low?: string } = {}): Claim => ({
  partitions: owned.map((mine) => ({ ...mine, low: more.low ?? '0' })),
  without: [],
  share: Math.ceil(BATCH / 16),
  limit: BATCH,
  ...more,
});

/** What is read by index only, and how much of it. */
function expectBounded(steps: readonly Step[], most: number): void {
  expect(ofLarge(steps).length).toBeGreaterThan(0);
  for (const step of ofLarge(steps)) {
    expect(step['Node Type']).toMatch(/^(Index|Bitmap)/);
    expect(rowsOf(step)).toBeLessThanOrEqual(most);
  }
  for (const step of steps.filter((one) => /Sort/.test(one['Node Type'])))
    expect(rowsOf(step)).toBeLessThanOrEqual(most);
}

describe('a claim', () => {
  it.each([
    ['of all partitions', () => claiming()],
    ['of one', () => claiming({ partitions: owned.slice(0, 1).map((mine) => ({ ...mine, low: '0' })), share: BATCH })],
    ['from a position on', () => claiming({ low: '800000' })],
    ['of one event', () => claiming({ share: 1, limit: 1 })],
    ['without some keys', () => claiming({ without: Array.from({ length: 100 }, (_, n) => `key-${n}`) })],
  ])('%s reads by index no more than it was asked for', async (_name, question) => {
    const steps = await explain((pool) => claim(pool, question()));
    const { limit, share, without } = question();
    expectBounded(steps, Math.max(limit, 16 * share) + 2 * without.length);
    expect(blocksOf(steps)).toBeLessThan(16 * 1_000);
  });

  it('keeps its plan when PostgreSQL makes one for all values', async () => {
    const { text, values = [] } = await statementOf((pool) => claim(pool, claiming()));
    const names = ['smallint[]', 'bigint[]', 'bigint[]', 'text[]', 'bigint', 'bigint'];
    const literals = values.map((value) => (Array.isArray(value) ? `'{${value.join(',')}}'` : String(value)));
    const plan = await inTransaction(database.pool, async (tx) => {
      await tx.query(`prepare claim (${names.join(', ')}) as ${text}`);
      // What it chooses by itself once it has seen a few.
      for (let n = 0; n < 8; n++) await tx.query(`execute claim (${literals.join(', ')})`);
      const { rows } = await tx.query<{ 'QUERY PLAN': [{ Plan: Step }] }>(
        `explain (analyze, buffers, format json) execute claim (${literals.join(', ')})`,
      );
      await tx.query('deallocate claim');
      return rows[0]?.['QUERY PLAN'][0].Plan;
    });
    expectBounded(plan ? stepsOf(plan) : [], 2 * BATCH);
  });
});

it('the mark removes by index what it was given', async () => {
  const events = await claim(database.pool, claiming());
  expect(events).toHaveLength(BATCH);
  const { text, values = [] } = await statementOf((pool) => markPublished(pool, events));
  const steps = await inTransaction(database.pool, async (tx) => {
    const { rows } = await tx.query<{ 'QUERY PLAN': [{ Plan: Step }] }>(
      `explain (analyze, buffers, format json) ${text}`,
      [...values],
    );
    await tx.query('rollback');
    await tx.query('begin');
    return rows[0] ? stepsOf(rows[0]['QUERY PLAN'][0].Plan) : [];
  });
  expectBounded(
    steps.filter((step) => step['Node Type'] !== 'ModifyTable'),
    BATCH,
  );
});

it('the status finds the oldest by index, and counts in bounded time', async () => {
  const steps = await explain(outboxStatus);
  const oldest = steps.filter((step) => step['Index Name'] === 'outbox_queue_ready' && step['Actual Loops'] === 16);
  expect(oldest.map((step) => step['Actual Rows'])).toEqual([1]);
  expect(steps.filter((step) => /Sort/.test(step['Node Type']))).toEqual([]);
  for (const step of ofLarge(steps).filter(({ 'Relation Name': name }) => name === 'outbox'))
    expect([step['Node Type'], rowsOf(step)]).toEqual(['Index Scan', 16]);
  const began = performance.now();
  expect(await outboxStatus(database.pool)).toMatchObject({ pending: MILLION, parked: 0 });
  expect(performance.now() - began).toBeLessThan(15_000);
});

describe('when almost a million have left the queue, and an old transaction keeps PostgreSQL from removing them', () => {
  it('a relay that knows where it was does not step over them', async () => {
    const { pool } = database;
    const old = await openTransaction(pool);
    await old.tx.query('set transaction isolation level repeatable read');
    await old.tx.query('select 1');
    await pool.query(`delete from txn.outbox_queue where position <= ${MILLION - 2_000}`);
    const fromWhereItWas = await explain((db) => claim(db, claiming({ low: String(MILLION - 5_000) })));
    const fromTheBeginning = await explain((db) => claim(db, claiming()));
    expectBounded(fromWhereItWas, 2 * BATCH);
    expect(blocksOf(fromWhereItWas)).toBeLessThan(10_000);
    // What the hint saves: it is not that nothing was there to step over.
    expect(blocksOf(fromTheBeginning)).toBeGreaterThan(10 * blocksOf(fromWhereItWas));
    const [low, zero] = [await claim(pool, claiming({ low: String(MILLION - 5_000) })), await claim(pool, claiming())];
    expect(low.map(positionOf)).toEqual(zero.map(positionOf));
    expect(low).toHaveLength(BATCH);
    await old.commit();
  });
});

const positionOf = ({ position }: QueuedEvent): string => position;
