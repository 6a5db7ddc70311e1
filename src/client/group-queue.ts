/**
 * Who waits for a place in a group, and whose turn it is. Workflow types do not wait for each other; the tenants of one type take
 * turns, so that whoever submits a thousand transactions does not keep the next one waiting behind them. How many may wait is the
 * room's to say.
 */
/** What waits. */
export interface Queued {
  readonly tenant: string;
  /** How much room its input takes. */
  readonly bytes: number;
}

export interface QueueLimits {
  /** How many travel together at most. */
  readonly maxSize: number;
  /** How much room the inputs of a group may take. */
  readonly maxBytes: number;
}

/** The queue of one workflow type. */
export class GroupQueue<Entry extends Queued> {
  /** By tenant, whose turn is next comes first. */
  readonly #tenants = new Map<string, Entry[]>();
  #size = 0;

  constructor(private readonly limits: QueueLimits) {}

  get size(): number {
    return this.#size;
  }

  add(entry: Entry): void {
    const own = this.#tenants.get(entry.tenant) ?? [];
    own.push(entry);
    this.#tenants.set(entry.tenant, own);
    this.#size++;
  }

  /** Takes the next group: one of each tenant in turn, as many as there is room for. */
  take(): Entry[] {
    const { maxSize, maxBytes } = this.limits;
    const group: Entry[] = [];
    for (let bytes = 0; this.#size > 0 && group.length < maxSize;) {
      const [tenant, entries] = this.#tenants.entries().next().value as [string, Entry[]]; // Cast: somebody waits.
      const [next] = entries;
      if (!next || (group.length > 0 && bytes + next.bytes > maxBytes)) break;
      entries.shift();
      // Whose turn it was comes last.
      this.#tenants.delete(tenant);
      if (entries.length > 0) this.#tenants.set(tenant, entries);
      this.#size--;
      group.push(next);
      bytes += next.bytes;
    }
    return group;
  }

  /** Takes somebody out who does not want to wait any more. False when it has left already. */
  remove(entry: Entry): boolean {
    const entries = this.#tenants.get(entry.tenant);
    const at = entries?.indexOf(entry) ?? -1;
    if (!entries || at < 0) return false;
    entries.splice(at, 1);
    if (entries.length === 0) this.#tenants.delete(entry.tenant);
    this.#size--;
    return true;
  }
}
