import { describe, expect, it } from 'vitest';
import { inventory } from '../../activities/inventory/operations';
import { violations } from '../../activities/invariants';
import { countApplied, refusal, useService } from './fixture';

const warehouse = useService('inventory', inventory);

async function stock(sku: string, pieces: number): Promise<string> {
  await warehouse.rows('insert into stock (sku, stocked, available) values ($1, $2, $2)', [sku, pieces]);
  return sku;
}

const shelvesOf = async (sku: string): Promise<unknown> =>
  (await warehouse.rows('select available, reserved, sold from stock where sku = $1', [sku]))[0];

/** Reserves, and tells the reservation's id. */
async function reserve(...items: { sku: string; quantity: number }[]) {
  const branch = warehouse.branch('reserve', { items });
  const { result } = (await branch.execute()) as { result: { id: string } };
  return { branch, id: result.id };
}

describe('a reservation', () => {
  it('puts the pieces aside, once', async () => {
    const book = await stock('R-BOOK', 10);
    const lamp = await stock('R-LAMP', 5);
    const { branch } = await reserve({ sku: lamp, quantity: 1 }, { sku: book, quantity: 3 });
    expect(await branch.execute()).toMatchObject({ answer: 'applied-before' });
    expect(await shelvesOf(book)).toEqual({ available: 7, reserved: 3, sold: 0 });
    expect(await shelvesOf(lamp)).toEqual({ available: 4, reserved: 1, sold: 0 });
    expect(await violations(warehouse.pool)).toEqual([]);
  });

  it('is refused as a whole when one article is missing, and lists all that are', async () => {
    const enough = await stock('M-ENOUGH', 10);
    const little = await stock('M-LITTLE', 1);
    const none = await stock('M-NONE', 0);
    const items = [
      { sku: enough, quantity: 1 },
      { sku: none, quantity: 1 },
      { sku: little, quantity: 2 },
    ];
    await expect(warehouse.branch('reserve', { items }).execute()).rejects.toMatchObject(
      refusal('out-of-stock', {
        message: 'There is not enough M-NONE (0 of 1), M-LITTLE (1 of 2)',
        details: {
          items: [
            { sku: none, requested: 1, available: 0 },
            { sku: little, requested: 2, available: 1 },
          ],
        },
      }),
    );
    expect(await shelvesOf(enough)).toEqual({ available: 10, reserved: 0, sold: 0 });
  });

  it('is refused for an article that nobody knows', async () => {
    const items = [
      { sku: 'BOOK-1', quantity: 1 },
      { sku: 'NO-SUCH', quantity: 1 },
    ];
    await expect(warehouse.branch('reserve', { items }).execute()).rejects.toMatchObject(
      refusal('unknown-sku', { details: { skus: ['NO-SUCH'] } }),
    );
  });

  it.each([
    ['no items', [], 'items: must have 1 to 50 items'],
    ['51 items', Array.from({ length: 51 }, (_, i) => ({ sku: `S-${i}`, quantity: 1 })), 'must have 1 to 50 items'],
    ['one article twice', Array(2).fill({ sku: 'BOOK-1', quantity: 1 }), 'items: must name each sku once'],
    ['no pieces', [{ sku: 'BOOK-1', quantity: 0 }], 'items.0.quantity: must be a whole number of pieces from 1'],
    ['half a piece', [{ sku: 'BOOK-1', quantity: 0.5 }], 'items.0.quantity: must be a whole number of pieces from 1'],
  ])('is refused with %s', async (_, items, message) => {
    await expect(warehouse.branch('reserve', { items }).execute()).rejects.toMatchObject(
      refusal('invalid-input', { message: expect.stringContaining(message) }),
    );
  });

  it('goes back to stock when it is compensated, whatever others did in between', async () => {
    const book = await stock('C-BOOK', 10);
    const { branch } = await reserve({ sku: book, quantity: 3 });
    await reserve({ sku: book, quantity: 2 });
    expect(await branch.compensate()).toEqual({ answer: 'compensated' });
    expect(await branch.compensate()).toEqual({ answer: 'compensated-before' });
    expect(await shelvesOf(book)).toEqual({ available: 8, reserved: 2, sold: 0 });
    expect(await violations(warehouse.pool)).toEqual([]);
  });

  it('is sold when it is committed, and then neither again nor taken back', async () => {
    const book = await stock('S-BOOK', 10);
    const { branch, id } = await reserve({ sku: book, quantity: 3 });
    expect(await warehouse.branch('commitReservation', { reservation: id }).execute()).toMatchObject({
      result: { items: [{ sku: book, quantity: 3 }] },
    });
    expect(await shelvesOf(book)).toEqual({ available: 7, reserved: 0, sold: 3 });
    const again = warehouse.branch('commitReservation', { reservation: id });
    await expect(again.execute()).rejects.toMatchObject(refusal('reservation-settled'));
    await expect(branch.compensate()).rejects.toMatchObject(refusal('reservation-settled'));
    expect(await shelvesOf(book)).toEqual({ available: 7, reserved: 0, sold: 3 });
    expect(await violations(warehouse.pool)).toEqual([]);
  });

  it('cannot be committed when nobody knows it', async () => {
    const commit = (reservation: string) => warehouse.branch('commitReservation', { reservation }).execute();
    await expect(commit('00000000-0000-4000-8000-000000000000')).rejects.toMatchObject(refusal('unknown-reservation'));
    await expect(commit('4711')).rejects.toMatchObject(
      refusal('invalid-input', { message: 'reservation: must be a UUID' }),
    );
  });
});

describe('the stock', () => {
  it('is not oversold by 20 concurrent reservations', async () => {
    const desk = await stock('O-DESK', 5);
    const wanted = Array.from({ length: 20 }, () =>
      warehouse.branch('reserve', { items: [{ sku: desk, quantity: 1 }] }),
    );
    expect(await countApplied(wanted, 'out-of-stock')).toBe(5);
    expect(await shelvesOf(desk)).toEqual({ available: 0, reserved: 5, sold: 0 });
    expect(await violations(warehouse.pool)).toEqual([]);
  });

  it('is reserved and released in any order without a deadlock', async () => {
    const skus = await Promise.all(['A', 'B', 'C', 'D'].map((letter) => stock(`D-${letter}`, 1000)));
    const branches = Array.from({ length: 20 }, (_, i) => {
      const items = skus.map((sku) => ({ sku, quantity: 1 }));
      return warehouse.branch('reserve', { items: i % 2 ? items : items.reverse() });
    });
    expect(await countApplied(branches, 'none of them is refused')).toBe(20);
    const [released, more] = [branches.slice(0, 10), Array.from({ length: 10 }, (_, i) => i)];
    await Promise.all([
      ...released.map((branch) => branch.compensate()),
      ...more.map(() => reserve(...skus.map((sku) => ({ sku, quantity: 2 })).reverse())),
    ]);
    for (const sku of skus) expect(await shelvesOf(sku)).toEqual({ available: 970, reserved: 30, sold: 0 });
    expect(await violations(warehouse.pool)).toEqual([]);
  });

  it('is kept from going below zero by the database itself', async () => {
    await expect(warehouse.rows(`update stock set available = -1 where sku = 'BOOK-1'`)).rejects.toMatchObject({
      code: '23514',
    });
  });

  it('shows when pieces got lost', async () => {
    const sku = await stock('LOST-1', 3);
    await warehouse.rows('update stock set available = 2 where sku = $1', [sku]);
    expect(await violations(warehouse.pool)).toEqual([
      {
        invariant: 'every piece is available, reserved or sold',
        subject: sku,
        details: 'stocked 3, available 2, reserved 0, sold 0',
      },
    ]);
    await warehouse.rows('delete from stock where sku = $1', [sku]);
  });
});
