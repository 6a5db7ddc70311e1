/**
 * Visits every state that a system can come to, breadth first, so that the first way found into a bad state is a shortest one.
 *
 * A state is a few bytes, and of those already visited only a 64-bit hash is kept: two states with the same hash count as
 * one, so a state may be missed, with a probability of about n² / 2⁶⁵ for n states: less than one in a million for three
 * million. A violation that is found is real: its trace is made anew, step by step, from the start.
 *
 * @see Holzmann: "Design and Validation of Computer Protocols", 1991, chapter 11; Wolper, Leroy: "Reliable Hashing without
 * Collision Detection", CAV 1993
 */

/** `fault`: what may happen and need not. Nothing may depend on its happening. */
type StepKind = 'progress' | 'fault';

/** Takes a step to `next`, which is copied. `broken`: the promise that this very step breaks. */
export type TakeStep = (next: Uint8Array, kind: StepKind, narrate: () => string, broken?: string) => void;

export interface System {
  /** Bytes of a state. */
  readonly size: number;
  start(): Uint8Array;
  /** Takes every step that is possible in `state`. In the same state always the same ones. */
  expand(state: Uint8Array, take: TakeStep): void;
  /** The promise that `state` breaks, if any. */
  brokenBy(state: Uint8Array): string | undefined;
  /** Whether all is done. From every state such a one must be reachable without a fault. */
  isEnd(state: Uint8Array): boolean;
  /** Writes one representative over states that differ in names only. */
  canonize?(state: Uint8Array): void;
}

interface Violation {
  readonly broken: string;
  /** What happened, one sentence a step. */
  readonly trace: readonly string[];
}

export interface Exploration {
  readonly states: number;
  readonly edges: number;
  /** Steps from the start to the state that is farthest away. */
  readonly depth: number;
  readonly seconds: number;
  readonly violation?: Violation;
}

const STUCK = 'something stays prepared or open for ever, whatever happens next';

/** @throws when there are more states than `limit`: an exploration that is cut short proves nothing. */
export function explore(system: System, limit = 4_000_000): Exploration {
  return new Search(system, limit).run();
}

const NONE = 0xffffffff;
/** States. */
const LONGEST_CIRCLE = 8;

class Search {
  readonly #visited: Visited;
  readonly #progress = new Edges();
  readonly #ends: boolean[] = [];
  readonly #scratch: Uint8Array;
  #edges = 0;
  #depth = 0;
  #frontier: States;
  #next: States;
  #found: Finding | undefined;

  constructor(
    private readonly system: System,
    private readonly limit: number,
  ) {
    this.#visited = new Visited(limit);
    this.#scratch = new Uint8Array(system.size);
    this.#frontier = new States(system.size);
    this.#next = new States(system.size);
  }

  run(): Exploration {
    const startedAt = performance.now();
    this.#visit(this.system.start(), NONE);
    let expanded = 0;
    let from = 0;
    const take: TakeStep = (next, kind, _narrate, broken) => {
      this.#edges++;
      const to = this.#visit(next, from);
      if (kind === 'progress') this.#progress.add(to);
      if (broken !== undefined) this.#found ??= { broken, at: to, from };
    };
    while (this.#found === undefined && this.#next.length > 0) {
      [this.#frontier, this.#next] = [this.#next, this.#frontier];
      this.#next.clear();
      for (let i = 0; i < this.#frontier.length && this.#found === undefined; i++) {
        from = expanded++;
        this.system.expand(this.#frontier.at(i), take);
        this.#progress.close();
      }
      if (this.#next.length > 0) this.#depth++;
    }
    this.#found ??= this.#findStuck();
    const violation = this.#found && { broken: this.#found.broken, trace: this.#traceOf(this.#found) };
    return {
      states: this.#visited.size,
      edges: this.#edges,
      depth: this.#depth,
      seconds: (performance.now() - startedAt) / 1000,
      ...(violation ? { violation } : {}),
    };
  }

  #visit(state: Uint8Array, parent: number): number {
    this.#scratch.set(state);
    this.system.canonize?.(this.#scratch);
    const known = this.#visited.size;
    const index = this.#visited.add(this.#scratch, parent);
    if (index < known) return index;
    if (this.#visited.size >= this.limit) throw new Error(`There are more than ${this.limit} states.`);
    this.#next.push(this.#scratch);
    this.#ends.push(this.system.isEnd(this.#scratch));
    const broken = this.system.brokenBy(this.#scratch);
    if (broken !== undefined) this.#found ??= { broken, at: index };
    return index;
  }

  /** The first state from which no end can be reached without a fault: deadlocks, and circles that lead nowhere. */
  #findStuck(): Finding | undefined {
    const ends = this.#ends;
    for (let changed = true; changed;) {
      changed = false;
      // Steps mostly lead to states that were found later.
      for (let state = ends.length - 1; state >= 0; state--) {
        if (ends[state] || !this.#progress.of(state, (to) => ends[to] === true)) continue;
        ends[state] = true;
        changed = true;
      }
    }
    const first = ends.indexOf(false);
    if (first < 0) return undefined;
    // From the first one much may still happen, to no avail. Clearer is one that stands still, or goes round in a small circle.
    for (let longest = 1; longest <= LONGEST_CIRCLE; longest *= 2) {
      const circle = ends.findIndex((end, state) => !end && this.#goesRound(state, longest));
      if (circle >= 0) return { broken: STUCK, at: circle };
    }
    return { broken: STUCK, at: first };
  }

  #goesRound(state: number, longest: number): boolean {
    const circle = [state];
    for (const member of circle) {
      this.#progress.of(member, (to) => {
        if (!circle.includes(to)) circle.push(to);
        return circle.length > longest;
      });
      if (circle.length > longest) return false;
    }
    return true;
  }

  /** Goes the way again, with names that stay the same from step to step. */
  #traceOf({ at, from = this.#visited.parentOf(at), broken }: Finding): string[] {
    const path: number[] = [at];
    for (let before = from; before !== NONE; before = this.#visited.parentOf(before)) path.unshift(before);
    const trace: string[] = [];
    let state = this.system.start();
    for (const target of path.slice(1)) {
      const isLast = trace.length === path.length - 2;
      const { next, sentence } = this.#stepTo(target, state, isLast ? broken : undefined);
      trace.push(sentence);
      state = next;
    }
    return trace;
  }

  /** Of several steps to one state: the one that breaks the promise, or else what has to happen rather than what may. */
  #stepTo(target: number, state: Uint8Array, breaking: string | undefined) {
    let best: { readonly next: Uint8Array; readonly sentence: string; readonly rank: number } | undefined;
    this.system.expand(state, (next, kind, narrate, broken) => {
      this.#scratch.set(next);
      this.system.canonize?.(this.#scratch);
      if (this.#visited.indexOf(this.#scratch) !== target) return;
      const rank = (broken !== undefined && broken === breaking ? 2 : 0) + (kind === 'progress' ? 1 : 0);
      if (best === undefined || rank > best.rank) best = { next: next.slice(), sentence: narrate(), rank };
    });
    if (!best) throw new Error('The system did not take the same steps again, or two states have one hash.');
    return best;
  }
}

interface Finding {
  readonly broken: string;
  readonly at: number;
  /** Where a step breaks a promise: the state that it leads from, which need not be the one that `at` was found from. */
  readonly from?: number;
}

/** Hashes of the states visited, in the order in which they were found, each with the state it was reached from. */
class Visited {
  size = 0;
  readonly #mask: number;
  /** Open addressing: index + 1 of a state, 0 where nothing is. */
  readonly #slots: Uint32Array;
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  readonly #parent: Uint32Array;

  constructor(limit: number) {
    const slots = 2 ** Math.ceil(Math.log2(limit * 2));
    this.#mask = slots - 1;
    this.#slots = new Uint32Array(slots);
    this.#low = new Uint32Array(limit);
    this.#high = new Uint32Array(limit);
    this.#parent = new Uint32Array(limit);
  }

  /** Index of the state, which is new when it is the former size. */
  add(state: Uint8Array, parent: number): number {
    const slot = this.#slotOf(state);
    const taken = this.#slots[slot] ?? 0;
    if (taken > 0) return taken - 1;
    this.#low[this.size] = hashed.low;
    this.#high[this.size] = hashed.high;
    this.#parent[this.size] = parent;
    this.#slots[slot] = this.size + 1;
    return this.size++;
  }

  indexOf(state: Uint8Array): number {
    return (this.#slots[this.#slotOf(state)] ?? 0) - 1;
  }

  parentOf(index: number): number {
    return this.#parent[index] ?? NONE;
  }

  #slotOf(state: Uint8Array): number {
    hash(state);
    let slot = hashed.low & this.#mask;
    for (;;) {
      const taken = this.#slots[slot] ?? 0;
      if (taken === 0) return slot;
      if (this.#low[taken - 1] === hashed.low && this.#high[taken - 1] === hashed.high) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }
}

/** The last hash, in two halves: a bigint, or an object for each, would cost more than the search. */
const hashed = { low: 0, high: 0 };

/** Two multiplicative hashes with different factors, each mixed at the end as in MurmurHash3. */
function hash(state: Uint8Array): void {
  let low = 0x811c9dc5;
  let high = 0x2545f491;
  for (let i = 0; i < state.length; i++) {
    const byte = state[i] ?? 0;
    low = Math.imul(low ^ byte, 0x01000193) ^ (low >>> 15);
    high = Math.imul(high + byte, 0x85ebca6b) ^ (high >>> 13);
  }
  hashed.low = mixed(low);
  hashed.high = mixed(high);
}

function mixed(h: number): number {
  let x = h ^ (h >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** States of one depth, one after the other. */
class States {
  length = 0;
  #bytes: Uint8Array;

  constructor(private readonly size: number) {
    this.#bytes = new Uint8Array(size * 1024);
  }

  push(state: Uint8Array): void {
    const at = this.length++ * this.size;
    if (at + this.size > this.#bytes.length) this.#bytes = grown(this.#bytes, new Uint8Array(this.#bytes.length * 2));
    this.#bytes.set(state, at);
  }

  at(index: number): Uint8Array {
    return this.#bytes.subarray(index * this.size, (index + 1) * this.size);
  }

  clear(): void {
    this.length = 0;
  }
}

/** Where steps lead that are no faults, state by state, in the order in which the states were expanded. */
class Edges {
  #to = new Uint32Array(1024);
  #length = 0;
  #ends = new Uint32Array(1024);
  #closed = 0;

  add(to: number): void {
    if (this.#length === this.#to.length) this.#to = grown(this.#to, new Uint32Array(this.#to.length * 2));
    this.#to[this.#length++] = to;
  }

  /** All steps of this state have been added. */
  close(): void {
    if (this.#closed === this.#ends.length) this.#ends = grown(this.#ends, new Uint32Array(this.#ends.length * 2));
    this.#ends[this.#closed++] = this.#length;
  }

  /** Whether one of them leads where `test` holds. */
  of(state: number, test: (to: number) => boolean): boolean {
    const end = this.#ends[state] ?? 0;
    for (let at = state === 0 ? 0 : (this.#ends[state - 1] ?? 0); at < end; at++)
      if (test(this.#to[at] ?? NONE)) return true;
    return false;
  }
}

function grown<T extends Uint8Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
