/** What a worker has begun, and what ends that: when it stops, and when its start fails half-way. */
export class Endings {
  readonly #endings: (() => unknown)[] = [];

  add(ending: () => void | Promise<void>): void {
    this.#endings.push(ending);
  }

  /** Ends all of it, once. What was begun last comes first: it may need what was begun before. */
  readonly end = async (): Promise<void> => {
    for (const ending of this.#endings.splice(0).reverse()) await ending();
  };
}
