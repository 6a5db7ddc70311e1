/** Who waits for a place in a group, whose turn it is, and for whom there is room. */
import { describe, expect, it } from 'vitest';
import { InvalidGrouping, QueueFull } from '../../src/client';
import { GroupQueue } from '../../src/client/group-queue';
import { groupingSettings } from '../../src/client/grouping';
import { Room } from '../../src/client/room';

const LIMITS = { maxSize: 4, maxBytes: 100 };

const queueOf = (...waiting: string[]): GroupQueue<{ id: string; tenant: string; bytes: number }> => {
  const queue = new GroupQueue<{ id: string; tenant: string; bytes: number }>(LIMITS);
  // `tenant/id` or `tenant/id/bytes`.
  for (const one of waiting) {
    const [tenant = '', id = '', bytes = '1'] = one.split('/');
    queue.add({ id, tenant, bytes: Number(bytes) });
  }
  return queue;
};
const ids = (entries: readonly { readonly id: string }[]): string => entries.map(({ id }) => id).join(' ');

describe('the queue of a client', () => {
  it('takes as many as a group may have, in their order', () => {
    const queue = queueOf('/1', '/2', '/3', '/4', '/5');
    expect(ids(queue.take())).toBe('1 2 3 4');
    expect(ids(queue.take())).toBe('5');
    expect(ids(queue.take())).toBe('');
  });

  it('takes tenants in turn, whoever came first', () => {
    const queue = queueOf('a/a1', 'a/a2', 'a/a3', 'a/a4', 'a/a5', 'b/b1', 'c/c1');
    expect(ids(queue.take())).toBe('a1 b1 c1 a2');
    expect(ids(queue.take())).toBe('a3 a4 a5');
  });

  it('goes on with the tenant whose turn it is when a group is full', () => {
    const queue = queueOf('a/a1', 'a/a2', 'a/a3', 'b/b1', 'b/b2', 'b/b3', 'c/c1');
    expect(ids(queue.take())).toBe('a1 b1 c1 a2');
    expect(ids(queue.take())).toBe('b2 a3 b3');
  });

  it('takes no more than there is room for in one call, and at least one', () => {
    const queue = queueOf('/1/60', '/2/40', '/3/1', '/4/500', '/5/1');
    expect(ids(queue.take())).toBe('1 2');
    expect(ids(queue.take())).toBe('3');
    expect(ids(queue.take())).toBe('4');
    expect(ids(queue.take())).toBe('5');
  });

  it('lets go of whoever does not want to wait any more', () => {
    const queue = new GroupQueue<{ id: string; tenant: string; bytes: number }>(LIMITS);
    const [first, second] = [1, 2].map((n) => ({ id: String(n), tenant: 'a', bytes: 1 }));
    queue.add(first!);
    queue.add(second!);
    expect(queue.remove(first!)).toBe(true);
    expect(queue.remove(first!)).toBe(false);
    expect(ids(queue.take())).toBe('2');
    expect(queue.remove(second!)).toBe(false);
    expect(queue.size).toBe(0);
  });
});

/** Has a tenant enter until it is refused. @returns how many it got in, and what it heard then */
function fill(room: Room, tenant: string): { readonly entered: number; readonly refusal: unknown } {
  for (let entered = 0; ; entered++) {
    try {
      room.enter({ id: `${tenant}${entered}`, tenant });
    } catch (refusal) {
      return { entered, refusal };
    }
  }
}

describe('the room of a client', () => {
  it('keeps half of itself for others than the tenant that floods it, and says that nothing was started', () => {
    const { entered, refusal } = fill(new Room(10), 'a');
    expect(entered).toBe(5);
    expect(refusal).toBeInstanceOf(QueueFull);
    expect(refusal).toMatchObject({ id: 'a5', limit: 5, tenant: 'a' });
    expect(refusal).toMatchObject({
      message: expect.stringMatching(
        /^Nothing was started: transaction a5 .* 5 of its type of tenant "a" are under way/,
      ),
    });
  });

  it('treats those who name no tenant as one', () => {
    const room = new Room(10);
    const { entered, refusal } = fill(room, '');
    expect(entered).toBe(5);
    expect(refusal).toMatchObject({
      message: expect.stringContaining(' 5 of its type without a tenant are under way'),
    });
    expect(fill(room, 'a').entered).toBeGreaterThan(0);
  });

  it('has as much free as it would have shared out evenly, whoever came first', () => {
    const room = new Room(1_200);
    const entered = ['a', 'b', 'c', 'd', 'e'].map((tenant) => fill(room, tenant).entered);
    // One part in n + 1 is left: of 1200, a half, a third, a quarter, …
    expect(entered).toEqual([600, 200, 100, 60, 40]);
  });

  it.each([4, 20, 1_000, 20_000])('of %i is not filled by few, each of which takes all that it can get', (limit) => {
    const room = new Room(limit);
    const few = Math.floor(Math.sqrt(limit));
    for (let i = 0; i < few; i++) expect(fill(room, `greedy-${i}`).entered).toBeGreaterThan(0);
    room.enter({ id: 'late', tenant: 'modest' });
  });

  it('gives tenants that compete the same, as what was there before ends', () => {
    const room = new Room(1_000);
    const [early, late] = [fill(room, 'early').entered, fill(room, 'late').entered];
    expect(early).toBeGreaterThan(2 * late);
    for (let ended = 0; ended < early - 250; ended++) room.leave({ id: '', tenant: 'early' });
    expect(late + fill(room, 'late').entered).toBe(250);
    expect(fill(room, 'early').entered).toBe(0);
  });

  it('is full for everybody only when nothing is free', () => {
    const room = new Room(3);
    for (const tenant of ['a', 'b', 'c']) room.enter({ id: tenant, tenant });
    const { entered, refusal } = fill(room, 'd');
    expect(entered).toBe(0);
    expect(refusal).toMatchObject({ limit: 3, tenant: undefined });
    expect(refusal).toMatchObject({ message: expect.stringMatching(/ 3 of its type are under way already/) });
  });

  it('forgets who has left', () => {
    const room = new Room(10);
    const { entered } = fill(room, 'a');
    for (let left = 0; left < entered; left++) room.leave({ id: '', tenant: 'a' });
    expect(fill(room, 'b').entered).toBe(5);
  });
});

describe('the option grouping', () => {
  it.each([{ maxSize: 1 }, { maxSize: 1_001 }, { inFlight: 0 }, { queueLimit: 0 }, { queueLimit: 1.5 }])(
    'is refused out of range: %o',
    (given) => {
      expect(() => groupingSettings(given)).toThrow(InvalidGrouping);
    },
  );
});
