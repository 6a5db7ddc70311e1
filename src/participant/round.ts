/** One activity that asks for many answers, from its first question to its end, and whom it does not wait for any more. */
import { Context } from '@temporalio/activity';
import type { ManyAnswer } from '../protocol';

/** An answer that keeps all others waiting for longer than that, and has taken twice as long as any of them, is waited for no more. */
const STRAGGLING_MS = 200;
/** The activity ends so long before its time is up, whoever is still at work. */
const MARGIN_MS = 2_000;
const LOOK_EVERY_MS = 20;

export class Round {
  readonly #answers: ManyAnswer[];
  /** When those that are at work have begun, by their positions. */
  readonly #atWork = new Map<number, number>();
  #answered = 0;
  #longestMs = 0;
  #lastAnswer = performance.now();
  #over = false;

  constructor(private readonly size: number) {
    this.#answers = Array.from({ length: size }, () => 'not-yet' as const);
  }

  get isOver(): boolean {
    return this.#over;
  }

  get answers(): readonly ManyAnswer[] {
    return this.#answers;
  }

  waitsFor(at: number): boolean {
    return !this.#over && this.#answers[at] === 'not-yet';
  }

  /** Waits for an answer that is under way. `not-yet` is none: the question goes back to the line. */
  async hear(at: number, coming: Promise<ManyAnswer>): Promise<void> {
    const began = performance.now();
    this.#atWork.set(at, began);
    const answer = await coming;
    this.#atWork.delete(at);
    if (this.#over || answer === 'not-yet') return;
    this.#answers[at] = answer;
    this.#answered++;
    this.#lastAnswer = performance.now();
    this.#longestMs = Math.max(this.#longestMs, this.#lastAnswer - began);
  }

  /** Waits for all, or until nobody but stragglers is left. */
  async untilOver(all: Promise<unknown>): Promise<void> {
    const { startToCloseTimeoutMs } = Context.current().info;
    const end = performance.now() + Math.max(startToCloseTimeoutMs - MARGIN_MS, startToCloseTimeoutMs / 2);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setInterval(() => {
        if (this.#straggles() || performance.now() > end) resolve();
      }, LOOK_EVERY_MS);
    });
    try {
      await Promise.race([all, late]);
    } finally {
      clearInterval(timer);
      this.#over = true;
    }
  }

  /** Nobody is left but those that are at work, and all of them for too long. */
  #straggles(): boolean {
    if (this.#answered === 0 || this.#answered + this.#atWork.size < this.size) return false;
    const now = performance.now();
    const lastBegan = Math.max(...this.#atWork.values());
    return now - this.#lastAnswer > STRAGGLING_MS && now - lastBegan > 2 * this.#longestMs;
  }
}
