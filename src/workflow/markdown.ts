/**
 * Markdown for the Current Details of the Web UI. Its page puts no space between the columns of a table and breaks names at
 * their hyphens, and it cannot be told otherwise: spaces that nothing breaks or swallows take care of both.
 */

const NBSP = '\u00a0';
/** A column of its own: at the end of a text a space is of no use where the text is broken. */
const GAP = NBSP.repeat(2);
/** How many spaces are as wide as a letter, in the usual fonts. */
const SPACES_A_LETTER = 1.6;
/** A name that is longer takes more than its share of the page, and is broken. */
const LONGEST_UNBROKEN = 32;

/** A table whose first column holds names, and whose cells are safe already: see {@link cell}. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const longest = Math.max(...rows.map(([name = '']) => name.split(' ', 1)[0]?.length ?? 0), 0);
  const width = Math.ceil(Math.min(longest, LONGEST_UNBROKEN) * SPACES_A_LETTER);
  const [first = '', ...others] = titles;
  const rule = titles.map(() => ':--').join(' | --- | ');
  return [line([first.padEnd(width, NBSP), ...others]), `| ${rule} |`, ...rows.map(line)];
}

const line = (cells: readonly string[]): string => `| ${cells.join(` | ${GAP} | `)} |`;

/** Messages come from anywhere: one that holds a bar, a line break or markup must not break the table. */
export const cell = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .replace(/[\\|`*_<>[\]]/g, (c) => `\\${c}`)
    .slice(0, 300);
