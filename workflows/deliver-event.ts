/** Delivers what one service tells to the one that wants to know: the relay starts one of these for each event, in their order. */
import { participant, saga } from 'temporal-txn/workflow';
import type { InventoryEvent, OrderEvent } from '../activities/events';
import type { inventory } from '../activities/inventory/operations';
import type { orders } from '../activities/orders/operations';

const stock = participant<typeof inventory>('inventory');
const book = participant<typeof orders>('orders');

export async function deliverEvent(event: OrderEvent | InventoryEvent): Promise<void> {
  await saga(async (s) => {
    switch (event.source) {
      case '/orders':
        return void (await s.pivot(stock.hear, event));
      case '/inventory':
        return void (await s.pivot(book.hear, event));
    }
  });
}
