/** Which of many branches may share a local transaction: those of one operation that are asked for the first time, each once. */
import type { AskedOfMany, BranchRequest } from '../protocol';
import { parseRequest } from './answering';
import type { Branch } from './branch';

/** By activity type, what opens a branch of an operation that has a set-based form. */
export type Openers = ReadonlyMap<string, () => Branch>;

export interface BranchSet {
  readonly open: () => Branch;
  /** By their positions among all that is asked. */
  readonly members: ReadonlyMap<number, BranchRequest>;
}

/** Branches that share a local transaction. When one of them spoils it, so many are done one by one. */
const MOST_TOGETHER = 128;

/** Whoever is in none of the sets is done by itself. */
export function setsIn(items: readonly AskedOfMany[], openers: Openers): readonly BranchSet[] {
  return [...openers].flatMap(([activity, open]) => {
    const members = membersOf(items, activity);
    return members.length > 1 ? chunks(members, MOST_TOGETHER).map((some) => ({ open, members: new Map(some) })) : [];
  });
}

/** What tells branches apart: there is one row for each. */
export const nameOf = ({ transaction, branch }: Partial<BranchRequest>): string => `${transaction} ${branch}`;

function membersOf(items: readonly AskedOfMany[], activity: string): (readonly [at: number, request: BranchRequest])[] {
  const known = new Set<string>();
  return [...items.entries()].flatMap(([at, item]) => {
    const request = item.activity === activity ? firstRequestOf(item) : undefined;
    if (!request) return [];
    // The second one would be done as well: there is one row for both, and the set has written it.
    const name = nameOf(request);
    if (known.has(name)) return [];
    known.add(name);
    return [[at, request] as const];
  });
}

/** What was asked before may be what kept its set waiting, or spoilt it. What is no request is told so by itself. */
function firstRequestOf({ request }: AskedOfMany): BranchRequest | undefined {
  try {
    const read = parseRequest(request);
    return read.again === true ? undefined : read;
  } catch {
    return undefined;
  }
}

function chunks<T>(all: readonly T[], most: number): T[][] {
  const count = Math.ceil(all.length / most);
  const size = Math.ceil(all.length / count);
  return Array.from({ length: count }, (_, i) => all.slice(i * size, (i + 1) * size));
}
