/** A protocol with one mechanism taken away, and under which circumstances. */
export interface MutantOf<Circumstances, Mechanisms> {
  /** The mechanism that it lacks. */
  readonly mechanism: string;
  /** What the mechanism is for. */
  readonly purpose: string;
  /** What the mutant does otherwise. */
  readonly without: string;
  readonly circumstances: Circumstances;
  readonly mechanisms: Partial<Mechanisms>;
}

/** One that keeps every promise all the same. */
export interface SurvivorOf<Circumstances, Mechanisms> extends MutantOf<Circumstances, Mechanisms> {
  /** What else keeps the promises. */
  readonly because: string;
}
