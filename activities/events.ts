/** What services tell each other, as their events arrive: CloudEvents, each kind with the data that its sender puts in. */
import { z } from 'zod';
import { Amount, Currency, Items, line, OrderId, Reference, Uuid } from './values';

const RULE = 'must be a CloudEvent of the outbox of a service';

/** What every event has, whatever it tells. */
const envelope = {
  specversion: z.literal('1.0', { error: RULE }),
  id: z.string({ error: RULE }).min(1, { error: RULE }),
  time: z.iso.datetime({ error: RULE }),
  datacontenttype: z.literal('application/json', { error: RULE }),
  /** The order: events of one order come in their sequence. */
  partitionkey: OrderId,
  /** 1, 2, 3, … among the events that a service tells of an order. */
  sequence: z.string({ error: RULE }).regex(/^\d{19}$/, { error: RULE }),
  traceparent: z.string().optional(),
  tracestate: z.string().optional(),
};

const event = <Type extends string, Source extends string, Data extends z.ZodType>(
  source: Source,
  type: Type,
  data: Data,
) => z.strictObject({ ...envelope, source: z.literal(source), type: z.literal(type), data });

const OrderCreated = z.strictObject({ customer: Reference, items: Items, total: Amount, currency: Currency });
const InventoryReservationRequested = z.strictObject({ items: Items });
const OrderConfirmed = z.strictObject({ reservation: Uuid });
const OrderCancelled = z.strictObject({ reason: line(200) });

export type OrderEvents = {
  OrderCreated: z.infer<typeof OrderCreated>;
  InventoryReservationRequested: z.infer<typeof InventoryReservationRequested>;
  OrderConfirmed: z.infer<typeof OrderConfirmed>;
  OrderCancelled: z.infer<typeof OrderCancelled>;
};

/** An event of the order service. */
export const OrderEvent = z.discriminatedUnion('type', [
  event('/orders', 'OrderCreated', OrderCreated),
  event('/orders', 'InventoryReservationRequested', InventoryReservationRequested),
  event('/orders', 'OrderConfirmed', OrderConfirmed),
  event('/orders', 'OrderCancelled', OrderCancelled),
]);
export type OrderEvent = z.infer<typeof OrderEvent>;

const InventoryReserved = z.strictObject({ reservation: Uuid });
const InventoryRefused = z.strictObject({ reason: line(200) });

export type InventoryEvents = {
  InventoryReserved: z.infer<typeof InventoryReserved>;
  InventoryRefused: z.infer<typeof InventoryRefused>;
};

/** An event of the inventory service. */
export const InventoryEvent = z.discriminatedUnion('type', [
  event('/inventory', 'InventoryReserved', InventoryReserved),
  event('/inventory', 'InventoryRefused', InventoryRefused),
]);
export type InventoryEvent = z.infer<typeof InventoryEvent>;
