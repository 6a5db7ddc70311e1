/** Counts what is published, and sees that each key comes complete and in its order: a relay that is fast by other means is not. */
export class Tally {
  #count = 0;
  #astray = 0;
  readonly #versions = new Map<string, number>();

  /** How many events have come in their turn. */
  get count(): number {
    return this.#count;
  }

  /** How many came when another of their key was due: again, too early, or after one that was left out. */
  get astray(): number {
    return this.#astray;
  }

  /** @returns whether it came in its turn */
  add(key: string, version: number): boolean {
    const isNext = version === (this.#versions.get(key) ?? 0) + 1;
    if (isNext) {
      this.#versions.set(key, version);
      this.#count++;
    } else this.#astray++;
    return isNext;
  }
}
