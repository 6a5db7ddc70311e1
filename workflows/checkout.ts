/** Sells a cart: reserves the stock, charges the card, creates the order, and tells the customer. */
import { participant, saga } from 'temporal-txn/workflow';
import type { inventory } from '../activities/inventory/operations';
import type { Notifications } from '../activities/notifications/operations';
import type { orders } from '../activities/orders/operations';
import type { payments } from '../activities/payments/operations';

export interface Cart {
  readonly order: string;
  readonly customer: string;
  readonly email: string;
  readonly items: readonly { readonly sku: string; readonly quantity: number }[];
  /** In minor units. */
  readonly total: number;
  readonly currency: string;
  /** A token of the payment provider, never a card number. */
  readonly card: string;
}

export interface OrderConfirmation {
  readonly order: string;
  readonly status: string;
  readonly payment: string;
}

const stock = participant<typeof inventory>('inventory');
const money = participant<typeof payments>('payments');
const book = participant<typeof orders>('orders');
const mail = participant<Notifications>('notifications');

export async function checkout(cart: Cart): Promise<OrderConfirmation> {
  const { order, customer, email, items, total, currency, card } = cart;
  return saga(async (s) => {
    await s.step(stock.reserve, { items });
    const payment = await s.step(money.charge, { card, amount: total, currency });
    const { status } = await s.step(book.create, { order, customer, items, total, currency });
    await s.step(mail.sendConfirmation, { order, to: email });
    return { order, status, payment: payment.id };
  });
}
