/** The largest input, in bytes of JSON. Temporal takes 2 MiB; a branch gets the input with a little around it, and perhaps encrypted. */
export const MOST_INPUT_BYTES = 2_000_000;

/**
 * How deep JSON may be nested. What reads, hashes and prints it goes down level by level, and runs out of stack somewhere beyond a
 * thousand of them: at a participant that would fail again with every attempt, the compensation included.
 */
export const MOST_LEVELS = 200;

/** Whether a value is nested deeper than that. */
export const isTooDeep = (value: unknown, levels = MOST_LEVELS): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (levels === 0 || Object.values(value).some((field) => isTooDeep(field, levels - 1)));
