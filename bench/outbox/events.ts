/** The events that are published here: of keys that come around again and again, about two hundred bytes each. */

/** As consumers would see it, and the same for everybody who is measured. */
export interface OrderChanged {
  /** Which event of its key this is, from 1: by it whoever publishes shows that the order was kept. */
  readonly version: number;
  readonly order: string;
  readonly note: string;
}

export const EVENT_TYPE = 'OrderChanged';
export const SOURCE = '/bench';

const NOTE = 'x'.repeat(140);

/** The event of a backlog that has this number, from 0; neighbours have different keys. */
export function eventAt(n: number, keys: number): { readonly key: string; readonly data: OrderChanged } {
  const key = `order-${n % keys}`;
  return { key, data: { version: Math.floor(n / keys) + 1, order: key, note: NOTE } };
}
