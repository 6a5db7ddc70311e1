/** The seed of the generated cases: TXN_SEED, or a new one at each run. Printed, so that a failure can be had again. */
export function seedOf(what: string): number {
  const given = process.env['TXN_SEED'];
  const seed = given === undefined ? Math.floor(Math.random() * 0x7fffffff) : Number(given);
  if (!Number.isSafeInteger(seed)) throw new RangeError(`TXN_SEED is ${given}, not a whole number.`);
  process.stdout.write(`${what}: repeat with TXN_SEED=${seed}\n`);
  return seed;
}

/** Mulberry32: numbers from 0 to 1, the same ones for a seed each time. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
