/** Who waits for a place in a group, and whose turn it is. */
import { describe, expect, it } from 'vitest';
import { InvalidGrouping, QueueFull } from '../../src/client';
import { GroupQueue } from '../../src/client/group-queue';
import { groupingSettings } from '../../src/client/grouping';

const LIMITS = { queueLimit: 10, maxSize: 4, maxBytes: 100 };

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

  it('refuses what it has no room for, and says that nothing was started', () => {
    const queue = queueOf(...Array.from({ length: 10 }, (_, i) => `/${i}`));
    expect(() => queue.add({ id: 'late', tenant: '', bytes: 1 })).toThrow(QueueFull);
    expect(() => queue.add({ id: 'late', tenant: '', bytes: 1 })).toThrow(
      /^Nothing was started: transaction late .* 10 /,
    );
    queue.take();
    queue.add({ id: 'late', tenant: '', bytes: 1 });
    expect(queue.size).toBe(7);
  });

  it('keeps half of its room for other tenants than the one that floods it', () => {
    const queue = queueOf(...Array.from({ length: 5 }, (_, i) => `a/${i}`));
    expect(() => queue.add({ id: 'a6', tenant: 'a', bytes: 1 })).toThrow(QueueFull);
    expect(() => queue.add({ id: 'a6', tenant: 'a', bytes: 1 })).toThrow(/ 5 of tenant "a" wait already/);
    queue.add({ id: 'b1', tenant: 'b', bytes: 1 });
    expect(ids(queue.take())).toBe('0 b1 1 2');
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

describe('the option grouping', () => {
  it.each([{ maxSize: 1 }, { maxSize: 1_001 }, { inFlight: 0 }, { queueLimit: 0 }, { queueLimit: 1.5 }])(
    'is refused out of range: %o',
    (given) => {
      expect(() => groupingSettings(given)).toThrow(InvalidGrouping);
    },
  );
});
