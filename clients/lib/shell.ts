/** What is printed to be pasted into a shell. */

/** One word of a command. */
export const quoted = (word: string): string =>
  /^[\w.:@%+=,/…-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** A setting before a command. */
export const setting = (name: string, value: string): string => `${name}=${quoted(value)}`;
