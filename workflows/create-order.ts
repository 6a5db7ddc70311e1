/** Places an order on account. It is there at once; whether there is stock for it is settled by events, see deliverEvent. */
import { participant, saga } from 'temporal-txn/workflow';
import type { orders, PlaceOrderInput } from '../activities/orders/operations';

export interface PlacedOrder {
  readonly order: string;
  readonly status: string;
}

const book = participant<typeof orders>('orders');

export async function createOrder(order: PlaceOrderInput): Promise<PlacedOrder> {
  return saga(async (s) => {
    const { id, status } = await s.pivot(book.place, order);
    return { order: id, status };
  });
}
