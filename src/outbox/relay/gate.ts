/**
 * Lets all through until too many have failed in a row, and then some after each pause, until one succeeds. `now` is as
 * `performance.now()` counts.
 */
export class Gate {
  #failed = 0;
  #rounds = 0;
  #next = 0;

  /**
   * @param most how many have to fail in a row until it is closed
   * @param some how many it lets through after each pause then
   */
  constructor(
    private readonly most: number,
    private readonly some: number,
  ) {}

  /** How many rounds of failures there were since anything succeeded. */
  get rounds(): number {
    return this.#rounds;
  }

  allows(now: number): number {
    if (this.#failed < this.most) return Infinity;
    return now < this.#next ? 0 : this.some;
  }

  /** In milliseconds. */
  opensIn(now: number): number {
    return this.#failed < this.most ? 0 : Math.max(0, this.#next - now);
  }

  /** Those that it let through are tried now: counted from here, because one of them may hang. */
  began(now: number, pauseMs: number): void {
    this.#next = now + pauseMs;
  }

  failed(count: number): void {
    if (count === 0) return;
    this.#failed += count;
    this.#rounds++;
  }

  open(): void {
    this.#failed = 0;
    this.#rounds = 0;
  }
}
