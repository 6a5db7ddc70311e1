/** Takes an order through the company: stock, money, parcel, status. When any of them fails the order ends CANCELLED and nothing is kept. */
import { participant, saga } from 'temporal-txn/workflow';
import type { inventory } from '../activities/inventory/operations';
import type { orders } from '../activities/orders/operations';
import type { payments } from '../activities/payments/operations';
import type { shipping } from '../activities/shipping/operations';

export interface OrderRequest {
  readonly order: string;
  readonly customer: string;
  readonly items: readonly { readonly sku: string; readonly quantity: number }[];
  /** In minor units. */
  readonly total: number;
  readonly currency: string;
  /** A token of the payment provider, never a card number. */
  readonly card: string;
  readonly region: string;
}

export interface OrderProcessed {
  readonly order: string;
  readonly status: string;
  readonly trackingNumber: string;
}

const stock = participant<typeof inventory>('inventory');
const money = participant<typeof payments>('payments');
const parcels = participant<typeof shipping>('shipping');
const book = participant<typeof orders>('orders');

export async function processOrder(request: OrderRequest): Promise<OrderProcessed> {
  const { order, customer, items, total, currency, card, region } = request;
  return saga(async (s) => {
    await s.step(book.create, { order, customer, items, total, currency });
    await s.step(stock.reserve, { items });
    await s.step(money.charge, { card, amount: total, currency });
    // The carrier answers at once or not at all: an order does not wait two minutes for it.
    const parcel = await s.step(parcels.createShipment, { order, region }, { timeout: '15 seconds' });
    const { status } = await s.step(book.setStatus, { order, status: 'CONFIRMED' });
    return { order, status, trackingNumber: parcel.trackingNumber };
  });
}
