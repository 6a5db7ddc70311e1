/** A large store: numbering is not slowed by what is there, nor by what a transaction in doubt keeps vacuum from removing. */
import { expect, it } from 'vitest';
import { readNumbered } from '../../../src/outbox/event-store/read';
import { usePostgres } from '../../participant/fixture';
import { deposited, inDoubt, newStream, store, useDatabase } from './fixture';

const postgres = usePostgres();
const database = useDatabase(postgres, 'large');

const EVENTS = 100_000;

it('numbers by its indexes, whatever the statistics say', async () => {
  const { pool } = database;
  const fill = (from: number): Promise<unknown> =>
    pool.query(
      `insert into txn.event (stream, version, id, type, data, created_at)
       select 's' || n % 1000, n / 1000 + 1, 'id' || n, 'Deposited', '{"amount": 1}', now()
         from generate_series($1::int, $1::int + $2::int - 1) n`,
      [from, EVENTS],
    );
  const timeOf = async (calls: number): Promise<number> => {
    const begun = performance.now();
    for (let i = 0; i < calls; i++) await pool.query('call txn.number_events(1000, false)');
    return performance.now() - begun;
  };
  const doubt = newStream();
  await inDoubt(pool, doubt, (tx) => store.appendToStream(tx, doubt, 'none', [deposited(1)]));
  await fill(0);
  const first = await timeOf(20);
  for (let i = 20_000; i < EVENTS; i += 10_000) await pool.query('call txn.number_events(10000, false)');
  // Says that there is no event without a position.
  await pool.query('vacuum analyze txn.event');
  await fill(EVENTS);

  // Ten times as long with a join, which the statistics mislead.
  expect(await timeOf(20)).toBeLessThan(200 + 4 * first);
  expect(await readNumbered(pool, EVENTS + 19_999, 10)).toHaveLength(1);

  await pool.query(`commit prepared '${doubt}'`);
  await pool.query('call txn.number_events(1)');
  expect(await readNumbered(pool, EVENTS + 20_000, 10)).toMatchObject([{ stream: doubt, version: 1 }]);
}, 60_000);
