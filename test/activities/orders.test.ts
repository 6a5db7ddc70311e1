import { describe, expect, it } from 'vitest';
import { violations } from '../../activities/invariants';
import { orders } from '../../activities/orders/operations';
import { countApplied, refusal, useService } from './fixture';

const service = useService('orders', orders);

const order = (id?: string) => ({
  ...(id === undefined ? {} : { order: id }),
  customer: 'C-4711',
  items: [{ sku: 'BOOK-1', quantity: 2 }],
  total: 2599,
  currency: 'EUR',
});

/** An order whose transaction has completed, so that it is free for others. */
async function placed(id: string): Promise<void> {
  const create = service.branch('create', order(id));
  await create.execute();
  await service.releaseLocks(create.transaction);
}

const stateOf = async (id: string): Promise<unknown> =>
  ((await service.branch('get', { order: id }).execute()) as { result: unknown }).result;

const setStatus = (id: string, status: string, more: object = {}, transaction?: string) =>
  service.branch('setStatus', { order: id, status, ...more }, transaction);

describe('an order', () => {
  it('is created once, PENDING, and locked for its transaction', async () => {
    const create = service.branch('create', order('NEW-1'));
    expect(await create.execute()).toEqual({
      answer: 'applied',
      result: { id: 'NEW-1', status: 'PENDING', version: 1 },
      locks: true,
    });
    expect(await create.execute()).toMatchObject({ answer: 'applied-before' });
    expect(await stateOf('NEW-1')).toEqual({ status: 'PENDING', version: 1, total: 2599, currency: 'EUR' });
    expect(await violations(service.pool)).toEqual([]);
  });

  it('gets an id unless it has one, the same for every attempt', async () => {
    const create = service.branch('create', order());
    const first = (await create.execute()) as { result: { id: string } };
    expect(first.result.id).toMatch(/^ORD-[0-9A-F-]{36}$/);
    expect(await create.execute()).toMatchObject({ result: first.result });
  });

  it('ends CANCELLED when its creation is compensated, and is free again', async () => {
    const create = service.branch('create', order('UNDONE-1'));
    await create.execute();
    expect(await create.compensate()).toEqual({ answer: 'compensated' });
    expect(await create.compensate()).toEqual({ answer: 'compensated-before' });
    expect(await stateOf('UNDONE-1')).toMatchObject({ status: 'CANCELLED', version: 2 });
    expect(await service.rows('select from txn.semantic_lock where resource = $1', ['order/UNDONE-1'])).toEqual([]);
  });

  it('is not created twice under one id', async () => {
    await placed('TWICE-1');
    await expect(service.branch('create', order('TWICE-1')).execute()).rejects.toMatchObject(refusal('order-exists'));
  });

  it('moves on and back again, and its version always forward', async () => {
    await placed('MOVING-1');
    const confirm = setStatus('MOVING-1', 'CONFIRMED');
    expect(await confirm.execute()).toMatchObject({
      result: { status: 'CONFIRMED', previous: 'PENDING', version: 2 },
    });
    expect(await confirm.compensate()).toEqual({ answer: 'compensated' });
    expect(await stateOf('MOVING-1')).toMatchObject({ status: 'PENDING', version: 3 });
  });

  it('is worked on by one transaction at a time', async () => {
    const create = service.branch('create', order('LOCKED-1'));
    await create.execute();
    await expect(setStatus('LOCKED-1', 'CANCELLED').execute()).rejects.toMatchObject({
      type: 'ResourceLocked',
      nonRetryable: false,
    });
    const own = setStatus('LOCKED-1', 'CONFIRMED', {}, create.transaction);
    expect(await own.execute()).toMatchObject({ answer: 'applied', result: { status: 'CONFIRMED' } });
    await service.releaseLocks(create.transaction);
    expect(await setStatus('LOCKED-1', 'SHIPPED').execute()).toMatchObject({ answer: 'applied' });
  });

  it('is moved on only from the version that the caller has read', async () => {
    await placed('READ-1');
    const first = setStatus('READ-1', 'CONFIRMED', { version: 1 });
    await first.execute();
    await service.releaseLocks(first.transaction);
    await expect(setStatus('READ-1', 'CANCELLED', { version: 1 }).execute()).rejects.toMatchObject(
      refusal('stale-version'),
    );
    expect(await stateOf('READ-1')).toMatchObject({ status: 'CONFIRMED' });
  });

  it('does not go where its status does not lead, and not when nobody knows it', async () => {
    await placed('PENDING-1');
    await expect(setStatus('PENDING-1', 'SHIPPED').execute()).rejects.toMatchObject(
      refusal('invalid-transition', { message: 'Order PENDING-1 is PENDING and cannot become SHIPPED' }),
    );
    await expect(setStatus('NOBODY-1', 'CONFIRMED').execute()).rejects.toMatchObject(refusal('unknown-order'));
    await expect(service.branch('get', { order: 'NOBODY-1' }).execute()).rejects.toMatchObject(
      refusal('unknown-order'),
    );
  });

  it('is created by one of 20 concurrent transactions', async () => {
    const creations = Array.from({ length: 20 }, () => service.branch('create', order('RACE-1')));
    const applied = await Promise.allSettled(creations.map((create) => create.execute()));
    expect(applied.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const { transaction } of creations) await service.releaseLocks(transaction);
    // The others were told to try again; now they hear that the order is there.
    expect(await countApplied(creations, 'order-exists')).toBe(1);
  });

  it.each([
    ['an odd id', { order: 'order 1' }, 'order: must be 1 to 64 characters of A-Z 0-9 -'],
    ["a customer's name", { customer: 'Ada Müller' }, 'customer: must be 1 to 64 characters of A-Z a-z 0-9 -'],
    ['no items', { items: [] }, 'items: must have 1 to 50 items'],
    ['a free order', { total: 0 }, 'total: must be a whole number of minor units'],
  ])('is refused with %s', async (_, change, message) => {
    await expect(service.branch('create', { ...order('BAD-1'), ...change }).execute()).rejects.toMatchObject(
      refusal('invalid-input', { message: expect.stringContaining(message) }),
    );
  });
});
