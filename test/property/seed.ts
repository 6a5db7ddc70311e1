/** The seed of the generated cases: TXN_SEED, or a new one at each run. Printed, so that a failure can be had again. */
export function seedOf(what: string): number {
  const given = process.env['TXN_SEED'];
  const seed = given === undefined ? Math.floor(Math.random() * 0x7fffffff) : Number(given);
  if (!Number.isSafeInteger(seed)) throw new RangeError(`TXN_SEED is ${given}, not a whole number.`);
  process.stdout.write(`${what}: repeat with TXN_SEED=${seed}\n`);
  return seed;
}
