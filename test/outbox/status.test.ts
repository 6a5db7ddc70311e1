/** How the outbox stands: what metrics and health checks are told. */
import { deadLetters, outboxStatus, UnpublishableEventError } from 'temporal-txn/outbox';
import { expect, it } from 'vitest';
import { usePostgres } from '../participant/fixture';
import { inDoubt, eventsOf, outbox, startRelay, Topic, until, untilLeft, useOutbox } from './fixture';

const test = useOutbox(usePostgres(), 'status');

it('is all zero when there is nothing', async () => {
  expect(await outboxStatus(test.pool)).toEqual({ pending: 0, oldestMs: 0, deadLetters: 0, parked: 0 });
});

it('counts what is not published, and tells the age of the oldest', async () => {
  await test.append('a', 'b', 'b', 'c');
  await test.pool.query(
    `update txn.outbox set created_at = created_at - interval '90 seconds' where key = 'b' and version = 2`,
  );
  const status = await outboxStatus(test.pool);
  expect(status).toMatchObject({ pending: 4, deadLetters: 0, parked: 0 });
  // The first of each partition, by position, is looked at: those of one transaction are of one age.
  expect(status.oldestMs).toBeLessThan(60_000);
  await test.pool.query(`update txn.outbox set created_at = created_at - interval '90 seconds' where version = 1`);
  const { oldestMs } = await outboxStatus(test.pool);
  expect(oldestMs).toBeGreaterThan(89_000);
  expect(oldestMs).toBeLessThan(120_000);
});

it('tells what is parked apart, and it is not what the relay is behind with', async () => {
  await test.append('bad', 'bad', 'good', 'worse');
  await test.pool.query(`update txn.outbox set created_at = created_at - interval '1 hour'`);
  const topic = new Topic(({ key }) => {
    if (key !== 'good') throw new UnpublishableEventError('no');
  });
  const relay = startRelay(test, topic);
  await untilLeft(test, 3);
  await until('both are parked', async () => (await deadLetters(test.pool)).length === 2);
  await relay.stop();
  expect(await outboxStatus(test.pool)).toEqual({ pending: 0, oldestMs: 0, deadLetters: 2, parked: 3 });
});

it('does not know of what is in doubt', async () => {
  await inDoubt(test.pool, 'status', (tx) => outbox.append(tx, eventsOf('a')));
  expect(await outboxStatus(test.pool)).toMatchObject({ pending: 0 });
  await test.pool.query(`commit prepared 'status'`);
  expect(await outboxStatus(test.pool)).toMatchObject({ pending: 1 });
});

it('has no age of less than nothing, whatever the clock of the server did', async () => {
  await test.append('a');
  await test.pool.query(`update txn.outbox set created_at = created_at + interval '1 hour'`);
  expect(await outboxStatus(test.pool)).toMatchObject({ pending: 1, oldestMs: 0 });
});
