/**
 * How a participant's part of a protocol is written: as a generator that asks its database one thing at a time and goes on
 * with what it answers. It does no I/O and looks at no clock, so the same code runs in the worker, where a driver asks
 * PostgreSQL, and in the explorer, where the database is a model that answers in every order and crashes between any two
 * questions.
 *
 * @see Ongaro's and etcd's raft: a deterministic core, with storage and transport outside
 */

/** A program that asks the questions named by the keys of `Replies`, and returns a `Result`. */
export type Program<Replies, Result> = Generator<Question<Replies>, Result, Replies[keyof Replies]>;

/** One interaction with the database. It happens as a whole or not at all, and its answer may be lost. */
export interface Question<Replies> {
  readonly ask: keyof Replies;
  /** What the question carries. */
  readonly about?: unknown;
}

/** Asks one thing. */
export function* ask<Replies, Name extends keyof Replies>(
  name: Name,
  about?: unknown,
): Generator<Question<Replies>, Replies[Name], Replies[keyof Replies]> {
  const reply = yield about === undefined ? { ask: name } : { ask: name, about };
  return reply as Replies[Name]; // Cast: a driver answers the question that it was asked.
}

/** Answers the questions of a program, by name. */
export type Driver<Replies> = {
  readonly [Name in keyof Replies]: (about: unknown) => Promise<Replies[Name]>;
};

/** Runs a program with a driver. What the driver throws is thrown into the program, which cleans up and lets it pass. */
export async function run<Replies, Result>(
  program: Program<Replies, Result>,
  driver: Driver<Replies>,
): Promise<Result> {
  let next = program.next();
  while (!next.done) {
    const { ask: name, about } = next.value;
    const reply = await driver[name](about);
    next = program.next(reply);
  }
  return next.value;
}
