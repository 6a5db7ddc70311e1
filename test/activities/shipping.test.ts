import { describe, expect, it } from 'vitest';
import { shipping } from '../../activities/shipping/operations';
import { countApplied, refusal, useService } from './fixture';

const service = useService('shipping', shipping);

const ship = (order: string, region = 'DE', more: object = {}) =>
  service.branch('createShipment', { order, region, ...more });

const shipmentsOf = (order: string) =>
  service.rows('select status, address from shipment where order_id = $1 order by created_at', [order]);

describe('a shipment', () => {
  it('is created once, with a tracking number', async () => {
    const branch = ship('ORDER-1');
    const first = await branch.execute();
    expect(first).toEqual({
      answer: 'applied',
      result: { id: expect.any(String), trackingNumber: expect.stringMatching(/^TT\d{12}$/) },
    });
    expect(await branch.execute()).toEqual({ ...(first as object), answer: 'applied-before' });
    expect(await shipmentsOf('ORDER-1')).toEqual([{ status: 'CREATED', address: null }]);
  });

  it('keeps the address that it is given', async () => {
    const address = { name: 'Ada Müller', street: 'Am Markt 1', postalCode: '20095', city: 'Hamburg' };
    await ship('ORDER-2', 'DE-HH', { address }).execute();
    expect(await shipmentsOf('ORDER-2')).toEqual([{ status: 'CREATED', address }]);
  });

  it('is cancelled when it is compensated, and the order can be shipped again', async () => {
    const branch = ship('ORDER-3');
    await branch.execute();
    expect(await branch.compensate()).toEqual({ answer: 'compensated' });
    expect(await branch.compensate()).toEqual({ answer: 'compensated-before' });
    await ship('ORDER-3').execute();
    expect(await shipmentsOf('ORDER-3')).toMatchObject([{ status: 'CANCELLED' }, { status: 'CREATED' }]);
  });

  it.each(['AQ', 'AQ-1', 'NO-21'])('does not go to %s', async (region) => {
    await expect(ship('ORDER-4', region).execute()).rejects.toMatchObject(
      refusal('undeliverable', { message: `The carrier does not go to ${region}` }),
    );
    expect(await shipmentsOf('ORDER-4')).toEqual([]);
  });

  it('goes to the rest of a country', async () => {
    expect(await ship('ORDER-5', 'NO-03').execute()).toMatchObject({ answer: 'applied' });
    expect(await ship('ORDER-6', 'NO').execute()).toMatchObject({ answer: 'applied' });
  });

  it('is one for each order, under 20 concurrent transactions too', async () => {
    const shipments = Array.from({ length: 20 }, () => ship('ORDER-7'));
    expect(await countApplied(shipments, 'already-shipped')).toBe(1);
    expect(await shipmentsOf('ORDER-7')).toHaveLength(1);
  });

  it.each([
    ['an odd order', { order: '../etc' }, 'order: must be 1 to 64 characters of A-Z 0-9 -'],
    ['no such region', { region: 'Germany' }, 'region: must be an ISO 3166 code'],
    [
      'a NUL in the address',
      { address: { name: 'A\0', street: 'S', postalCode: '1', city: 'C' } },
      'address.name: must be 1 to 100 characters without control characters',
    ],
  ])('is refused with %s', async (_, change, message) => {
    await expect(ship('ORDER-8', 'DE', change).execute()).rejects.toMatchObject(
      refusal('invalid-input', { message: expect.stringContaining(message) }),
    );
  });
});
