/**
 * A table with a heading over each column; the last column is as wide as it needs.
 *
 * @example columns(['id', 'status'], [['transfer-4711', 'held']])
 */
export function columns(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)));
  return [headings.map((heading) => heading.toUpperCase()), ...rows]
    .map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join('  '))
    .join('\n');
}
