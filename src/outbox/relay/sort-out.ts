/** Which of the rows that were read may be published: those whose predecessor is published, or comes before them in the batch. */
import type { QueuedEvent } from './queue';

export interface SortedOut {
  readonly ready: QueuedEvent[];
  /** Keys that are parked, of which rows have come since. */
  readonly followers: string[];
  /** Whether a predecessor is in the queue and was not read. */
  readonly missing: boolean;
}

export function sortOut(rows: readonly QueuedEvent[]): SortedOut {
  const ready: QueuedEvent[] = [];
  const taken = new Set<string>();
  const followers = new Set<string>();
  let missing = false;
  for (const row of rows) {
    const { predecessor, position, event } = row;
    if (followers.has(event.key)) continue;
    if (predecessor === undefined || taken.has(predecessor.position)) {
      ready.push(row);
      taken.add(position);
    } else if (predecessor.parked) followers.add(event.key);
    else missing = true;
  }
  return { ready, followers: [...followers], missing };
}
