/** The inbox: rules X4 and X7. Every message has its effect once, in the transaction in which it is noted. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { defineOutbox } from '../../src/outbox/append';
import { toCloudEvent } from '../../src/outbox/cloud-event';
import type { HandlerTransaction } from '../../src/outbox/handler-transaction';
import { defineInbox } from '../../src/outbox/inbox/inbox';
import { purgeInbox } from '../../src/outbox/inbox/purge';
import { gate } from '../branch-log/fixture';
import { usePostgres } from '../participant/fixture';
import { inDoubt, inTransaction, seeded, useDatabase } from './event-store/fixture';
import { anEvent } from './events';

const postgres = usePostgres();
const database = useDatabase(postgres, 'inbox', 'create table effect (message text not null, by text)');
const inbox = defineInbox('inventory');

let id: string;
beforeEach(() => {
  id = randomUUID();
});

const effect = (tx: HandlerTransaction, message = id): Promise<unknown> =>
  tx.query('insert into effect values ($1)', [message]);

async function count(table: 'effect' | 'txn.inbox', message = id): Promise<number> {
  const column = table === 'effect' ? 'message' : 'message_id';
  const { rows } = await database.pool.query<{ n: number }>(
    `select count(*)::int as n from ${table} where ${column} = $1`,
    [message],
  );
  return rows[0]?.n ?? -1;
}

describe('a message', () => {
  it('is handled once, and a duplicate gets the stored outcome', async () => {
    const receive = (n: number): ReturnType<typeof inbox.receive> =>
      inbox.receive(database.pool, { id, data: { a: 1 } }, async (tx) => {
        await effect(tx);
        return { n, at: new Date(0) };
      });
    const outcome = { n: 1, at: '1970-01-01T00:00:00.000Z' };
    expect(await receive(1)).toEqual({ outcome, duplicate: false });
    expect(await receive(2)).toEqual({ outcome, duplicate: true });
    expect(await count('effect')).toBe(1);
  });

  it.each([[undefined], [null], [0], [''], [false], [[]]])('may have the outcome %j', async (outcome) => {
    const receive = (): ReturnType<typeof inbox.receive> => inbox.receive(database.pool, { id }, async () => outcome);
    expect(await receive()).toEqual({ outcome, duplicate: false });
    expect(await receive()).toEqual({ outcome, duplicate: true });
  });

  it('is known by consumer, source and id', async () => {
    const receive = (consumer: string, message: { id: string; source?: string }): Promise<unknown> =>
      defineInbox(consumer).receive(database.pool, message, (tx) => effect(tx).then(() => undefined));
    await receive('a', { id });
    await receive('b', { id });
    await receive('a', { id, source: '/orders' });
    await receive('a', { id, source: '/orders' });
    await receive('a', { id, source: '' });
    expect(await count('effect')).toBe(3);
  });

  it('that comes again with another content is refused, and one with its keys in another order is not', async () => {
    const receive = (message: object): Promise<unknown> =>
      inbox.receive(database.pool, { id, ...message }, (tx) => effect(tx).then(() => undefined));
    await receive({ type: 'T', data: { a: 1, b: new Date(0) } });
    await receive({ data: { b: '1970-01-01T00:00:00.000Z', a: 1 }, type: 'T' });
    for (const other of [
      { type: 'T', data: { a: 2 } },
      { type: 'U', data: { a: 1, b: new Date(0) } },
      { type: 'T' },
      {},
    ])
      await expect(receive(other)).rejects.toMatchObject({
        name: 'MessageMismatchError',
        consumer: 'inventory',
        messageId: id,
        message: expect.stringMatching(/^Nothing was changed/),
      });
    expect(await count('effect')).toBe(1);
  });

  it('may hold what the outbox would not append: only a hash of it is kept', async () => {
    const receive = (data: string): Promise<unknown> => inbox.receive(database.pool, { id, data }, async () => 'done');
    const data = `\0\ud800${'x'.repeat(2 * 1024 * 1024)}`;
    await receive(data);
    expect(await receive(data)).toEqual({ outcome: 'done', duplicate: true });
    await expect(receive(`${data}.`)).rejects.toMatchObject({ name: 'MessageMismatchError' });
  });

  it('may be an event of the outbox or a CloudEvent', async () => {
    const event = anEvent({ data: { total: 5 } });
    const receive = (message: Parameters<typeof inbox.receive>[1]): ReturnType<typeof inbox.receive> =>
      inbox.receive(database.pool, message, async () => 'done');
    expect(await receive(event)).toMatchObject({ duplicate: false });
    expect(await receive(JSON.parse(JSON.stringify(toCloudEvent(event))) as typeof event)).toMatchObject({
      duplicate: true,
    });
  });

  it('whose handler fails leaves nothing, and is handled when it comes again', async () => {
    const receive = (fail: boolean): Promise<unknown> =>
      inbox.receive(database.pool, { id }, async (tx) => {
        await effect(tx);
        if (fail) throw new Error('refused');
        return 'done';
      });
    await expect(receive(true)).rejects.toThrow('refused');
    expect([await count('effect'), await count('txn.inbox')]).toEqual([0, 0]);
    expect(await receive(false)).toEqual({ outcome: 'done', duplicate: false });
  });

  it('whose handler swallows a failed statement is not taken for handled', async () => {
    const swallow = inbox.receive(database.pool, { id }, async (tx) => {
      await effect(tx);
      await tx.query('select 1 / 0').catch(() => undefined);
    });
    await expect(swallow).rejects.toMatchObject({ name: 'SwallowedFailureError' });
    expect([await count('effect'), await count('txn.inbox')]).toEqual([0, 0]);
  });

  it.each(['commit', 'rollback', '/* */ begin', 'prepare transaction $$x$$', 'select 1; commit'])(
    'cannot be committed by its handler: %s',
    async (statement) => {
      const receive = inbox.receive(database.pool, { id }, async (tx) => {
        await effect(tx);
        await tx.query(statement);
      });
      await expect(receive).rejects.toThrow();
      expect([await count('effect'), await count('txn.inbox')]).toEqual([0, 0]);
    },
  );

  it('leaves its handler no transaction when it is over', async () => {
    let late: HandlerTransaction | undefined;
    await inbox.receive(database.pool, { id }, async (tx) => void (late = tx));
    await expect(late?.query('select 1')).rejects.toMatchObject({ name: 'ForbiddenStatementError' });
  });

  it('may be answered with an event in the same transaction', async () => {
    const outbox = defineOutbox('/inventory');
    const receive = (fail: boolean): Promise<unknown> =>
      inbox.receive(database.pool, { id }, async (tx) => {
        await outbox.append(tx, [{ type: 'Reserved', key: id, data: {} }]);
        if (fail) throw new Error('no');
      });
    await expect(receive(true)).rejects.toThrow('no');
    await receive(false);
    await receive(false);
    const { rows } = await database.pool.query('select version::int as version from txn.outbox where key = $1', [id]);
    expect(rows).toEqual([{ version: 1 }]);
  });

  it.each<[string, object]>([
    ['message.id', { id: '' }],
    ['message.id', { id: 'x'.repeat(201) }],
    ['message.id', { id: 'a\0' }],
    ['message.id', { id: 5 }],
    ['message.source', { id: 'a', source: 'x'.repeat(201) }],
    ['message.data', { id: 'a', data: 1n }],
    ['message.data', { id: 'a', data: () => 1 }],
  ])('is refused for its %s: %#', async (field, message) => {
    const receive = inbox.receive(database.pool, message as { id: string }, async () => expect.fail('was handled'));
    await expect(receive).rejects.toMatchObject({ name: 'InvalidEventError', field });
  });

  it('is not handled when its outcome cannot be stored', async () => {
    const receive = inbox.receive(database.pool, { id }, async (tx) => {
      await effect(tx);
      return 1n;
    });
    await expect(receive).rejects.toMatchObject({ name: 'InvalidEventError', field: 'outcome' });
    expect(await count('effect')).toBe(0);
  });
});

describe('in a transaction of the caller', () => {
  it('is there when that commits, and only then', async () => {
    const receive = (fail: boolean): Promise<unknown> =>
      inTransaction(database.pool, async (tx) => {
        await inbox.receive(tx, { id }, (own) => effect(own).then(() => undefined));
        if (fail) throw new Error('later');
      });
    await expect(receive(true)).rejects.toThrow('later');
    expect([await count('effect'), await count('txn.inbox')]).toEqual([0, 0]);
    await receive(false);
    await receive(false);
    expect([await count('effect'), await count('txn.inbox')]).toEqual([1, 1]);
  });

  it('leaves nothing of a handler that failed, though the caller goes on and commits', async () => {
    await inTransaction(database.pool, async (tx) => {
      await effect(tx, `${id}-caller`);
      for (const failing of ['insert into effect values (null)', 'nonsense'])
        await expect(
          inbox.receive(tx, { id }, async (own) => {
            await effect(own);
            await own.query(failing);
          }),
        ).rejects.toThrow();
    });
    expect([await count('effect'), await count('txn.inbox'), await count('effect', `${id}-caller`)]).toEqual([0, 0, 1]);
    expect(await inbox.receive(database.pool, { id }, async () => 1)).toMatchObject({ duplicate: false });
  });

  it('makes a duplicate wait while it is in doubt, and tells it then what has become of it', async () => {
    await inDoubt(database.pool, id, (tx) => inbox.receive(tx, { id }, (own) => effect(own).then(() => 'prepared')));
    const fast = defineInbox('inventory', { timeouts: { lockMs: 100 } });
    await expect(fast.receive(database.pool, { id }, async () => 'second')).rejects.toMatchObject({
      name: 'MessageInProgressError',
      messageId: id,
    });
    const again = inbox.receive(database.pool, { id }, async () => 'second');
    await sleep(100);
    await database.pool.query(`commit prepared '${id}'`);
    expect(await again).toEqual({ outcome: 'prepared', duplicate: true });
    expect(await count('effect')).toBe(1);
  });
});

describe('deliveries that come at once', () => {
  it('wait for each other, and have one effect', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        inbox.receive(database.pool, { id }, async (tx) => {
          await effect(tx);
          await tx.query('select pg_sleep(0.05)');
          return n;
        }),
      ),
    );
    expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    expect(new Set(answers.map(({ outcome }) => outcome)).size).toBe(1);
    expect(await count('effect')).toBe(1);
  });

  it('have their turn when the first one fails', async () => {
    const { pass, reached, open } = gate();
    const first = inbox.receive(database.pool, { id }, async (tx) => {
      await effect(tx);
      await pass();
      await sleep(200);
      throw new Error('after all');
    });
    await reached;
    open();
    const second = inbox.receive(database.pool, { id }, (tx) => effect(tx).then(() => 'second'));
    await expect(first).rejects.toThrow('after all');
    expect(await second).toEqual({ outcome: 'second', duplicate: false });
    expect(await count('effect')).toBe(1);
  });

  it('have the effect once each though sessions are killed at any statement, handlers fail and transactions are prepared', async () => {
    const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
    console.log(`inbox under kills: SEED=${seed}`);
    const random = seeded(seed);
    const messages = Array.from({ length: 25 }, (_, i) => `${id}-${i}`);
    let kills = 0;
    const kill = async (tx: HandlerTransaction): Promise<void> => {
      // The first few in any case, so that a lucky seed is a test as well.
      if (kills >= 6 && random() > 0.15) return;
      const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
      kills++;
      await database.pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
    };
    const deliver = (message: string): Promise<unknown> => {
      const handler = async (tx: HandlerTransaction): Promise<string> => {
        await kill(tx);
        await effect(tx, message);
        if (random() < 0.1) throw new Error('handler');
        await kill(tx);
        return message;
      };
      if (random() < 0.6) return inbox.receive(database.pool, { id: message }, handler);
      const gid = randomUUID();
      if (random() < 0.5) return inTransaction(database.pool, (tx) => inbox.receive(tx, { id: message }, handler));
      return doubtful(gid, message, handler);
    };
    const doubtful = async (
      gid: string,
      message: string,
      handler: (tx: HandlerTransaction) => Promise<string>,
    ): Promise<unknown> => {
      const client = await database.pool.connect();
      client.on('error', () => undefined);
      try {
        await client.query('begin');
        await inbox.receive(client, { id: message }, handler);
        await client.query(`prepare transaction '${gid}'`);
      } finally {
        client.removeAllListeners('error');
        client.release(true);
      }
      await sleep(random() * 20);
      const end = random() < 0.5 ? 'commit' : 'rollback';
      await database.pool.query(`${end} prepared '${gid}'`);
      if (end === 'rollback') throw new Error('rolled back');
      return message;
    };
    // Each message until it is acknowledged, and then twice more; several at a time.
    const workers = Array.from({ length: 8 }, async (_, w) => {
      for (const message of messages.filter((__, i) => i % 4 === w % 4)) {
        for (let acknowledged = 0; acknowledged < 3;)
          await deliver(message).then(
            () => acknowledged++,
            () => undefined,
          );
      }
    });
    await Promise.all(workers);
    const { rows } = await database.pool.query(
      `select message, count(*)::int as n from effect where message like $1 group by message`,
      [`${id}-%`],
    );
    expect(rows).toHaveLength(messages.length);
    expect(rows.filter(({ n }: { n: number }) => n !== 1)).toEqual([]);
    expect(kills).toBeGreaterThan(5);
  }, 60_000);
});

describe('the purge', () => {
  const age = (message: string, hours: number): Promise<unknown> =>
    database.pool.query('update txn.inbox set received_at = now() - make_interval(hours => $2) where message_id = $1', [
      message,
      hours,
    ]);

  it('forgets what is old, in batches, and nothing else', async () => {
    await database.pool.query('delete from txn.inbox');
    for (let i = 0; i < 7; i++) await inbox.receive(database.pool, { id: `${id}-${i}` }, async () => i);
    await defineInbox('other').receive(database.pool, { id: `${id}-0` }, async () => 0);
    for (let i = 0; i < 5; i++) await age(`${id}-${i}`, 49 + i);
    const old = { olderThanHours: 48, longestRedeliveryHours: 24, batch: 2 };
    expect(await purgeInbox(database.pool, { ...old, consumer: 'other' })).toBe(1);
    const ended = new AbortController();
    ended.abort();
    expect(await purgeInbox(database.pool, { ...old, stop: ended.signal })).toBe(0);
    expect(await purgeInbox(database.pool, old)).toBe(5);
    const { rows } = await database.pool.query('select message_id from txn.inbox order by 1');
    expect(rows).toEqual([{ message_id: `${id}-5` }, { message_id: `${id}-6` }]);
  });

  it.each([
    { olderThanHours: 24, longestRedeliveryHours: 24 },
    { olderThanHours: 24, longestRedeliveryHours: 100 },
    { olderThanHours: NaN, longestRedeliveryHours: 1 },
    { olderThanHours: Infinity, longestRedeliveryHours: 1 },
    { olderThanHours: 24, longestRedeliveryHours: NaN },
    { olderThanHours: 24, longestRedeliveryHours: -1 },
    { olderThanHours: 24, longestRedeliveryHours: 1, batch: 0 },
    { olderThanHours: 24, longestRedeliveryHours: 1, batch: 10_001 },
  ])('refuses %j (X7)', async (options) => {
    await inbox.receive(database.pool, { id }, async () => 1);
    await age(id, 1_000);
    await expect(purgeInbox(database.pool, options)).rejects.toThrow(/^Nothing was removed/);
    expect(await count('txn.inbox')).toBe(1);
  });
});

it.each(['', 'x'.repeat(201), 'a\0b'])('declares no inbox of the consumer %j', (consumer) => {
  expect(() => defineInbox(consumer)).toThrow(/consumer/);
});
