/**
 * The shipping service: hands an order to the carrier, unless the carrier does not go there. Ids, tracking numbers and
 * refusals tell nothing of who gets it.
 */
import { defineParticipant, operation, refuse } from 'temporal-txn/participant';
import { z } from 'zod';
import { line, matching, OrderId } from '../values';

export const Address = z.strictObject({
  name: line(100),
  street: line(200),
  postalCode: line(20),
  city: line(100),
});
export type Address = z.infer<typeof Address>;

export const CreateShipmentInput = z.strictObject({
  order: OrderId,
  region: matching(/^[A-Z]{2}(-[A-Z0-9]{1,3})?$/, 'must be an ISO 3166 code such as DE or NO-21'),
  /** Personal data: a workflow that carries it keeps it in its history. Leave it out where the label is printed from the order. */
  address: Address.optional(),
});
export type CreateShipmentInput = z.infer<typeof CreateShipmentInput>;

const UNDELIVERABLE = `
  select from undeliverable_region where region = $1 or starts_with($1, region || '-')`;

// The index shipment_of_order decides which of two transactions ships an order.
const INSERT = `
  insert into shipment (order_id, region, address, transaction_id, branch_id) values ($1, $2, $3, $4, $5)
  on conflict (order_id) where status = 'CREATED' do nothing
  returning id, tracking_number as "trackingNumber"`;

export const shipping = defineParticipant('shipping', {
  /** Hands an order to the carrier. */
  createShipment: operation({
    input: CreateShipmentInput,
    async execute(tx, { order, region, address = null }) {
      const { rows: reasons } = await tx.query(UNDELIVERABLE, [region]);
      if (reasons.length > 0) refuse('undeliverable', `The carrier does not go to ${region}`);
      const { rows } = await tx.query<{ id: string; trackingNumber: string }>(INSERT, [
        order,
        region,
        address,
        tx.transaction,
        tx.branch,
      ]);
      if (!rows[0]) refuse('already-shipped', `Order ${order} has a shipment already`);
      return rows[0];
    },
    async compensate(tx, _input, { id }) {
      await tx.query(`update shipment set status = 'CANCELLED' where id = $1`, [id]);
    },
  }),
});
