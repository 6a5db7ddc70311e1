/**
 * How many transactions of one workflow type a client has under way, by tenant, and for whom there is room. What counts is all of which
 * it has not heard the end: what waits, what travels, and what has a workflow of its own, which may be held for days. So no
 * tenant gets more by having its transactions leave the queue.
 *
 * The rule is that of dynamic thresholds (Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches",
 * IEEE/ACM Transactions on Networking 6(2), 1998): how much anybody may have depends on how much is free. Here it is what is free,
 * divided by the tenants that are there. A tenant that is alone has half of the room, n that compete have half of it together, and n
 * that come one after the other, each taking all it can get, leave one part in n + 1. So one that has nothing finds room as long as
 * anything is free, and no few can take that from it.
 */
import { QueueFull } from './errors';

/** Who wants room. Without a tenant it is `''`: that is one like the others. */
export interface Guest {
  readonly id: string;
  readonly tenant: string;
}

export class Room {
  /** Those that have any. */
  readonly #tenants = new Map<string, number>();
  #taken = 0;

  constructor(private readonly limit: number) {}

  /** @throws {QueueFull} when there is no room, or its tenant has its share */
  enter({ id, tenant }: Guest): void {
    const own = this.#tenants.get(tenant) ?? 0;
    const free = this.limit - this.#taken;
    if (free <= 0) throw new QueueFull(id, this.limit);
    const present = this.#tenants.size + (own === 0 ? 1 : 0);
    if (own * present >= free) throw new QueueFull(id, own, tenant);
    this.#tenants.set(tenant, own + 1);
    this.#taken++;
  }

  /** Whoever has entered leaves once. */
  leave({ tenant }: Guest): void {
    const left = (this.#tenants.get(tenant) ?? 0) - 1;
    if (left > 0) this.#tenants.set(tenant, left);
    else this.#tenants.delete(tenant);
    this.#taken--;
  }
}
