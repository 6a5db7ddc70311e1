/** Puts what a run has shown into the package. */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

// From dist/bench/ back to the package.
const ROOT = resolve(__dirname, '../..');

/** @param recorded the file of the figures, and they themselves @param pages what is made of them @returns the paths of what was written */
export function writeFiles(
  recorded: { readonly path: string; readonly report: object },
  pages: Readonly<Record<string, string>>,
): readonly string[] {
  const files = { [recorded.path]: `${JSON.stringify(recorded.report, undefined, 2)}\n`, ...pages };
  for (const [path, content] of Object.entries(files)) writeFileSync(resolve(ROOT, path), content);
  return Object.keys(files);
}
