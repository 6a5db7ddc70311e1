/** Runs what the pages show, as whoever copies it would. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileFunction } from 'node:vm';
import ts from 'typescript';

const root = join(__dirname, '../..');

export interface Surroundings {
  /** What it imports, by name; Node's own modules are there anyway. */
  readonly modules: Readonly<Record<string, unknown>>;
  /** Where the modules are whose paths it asks for, by name. */
  readonly paths?: Readonly<Record<string, string>>;
}

/**
 * Runs the first block of TypeScript of a page that has this text.
 *
 * @returns what it exports
 */
export function runExample(page: string, text: string, { modules, paths = {} }: Surroundings): Record<string, unknown> {
  const blocks = [...readFileSync(join(root, page), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)];
  const block = blocks.map(([, code = '']) => code).find((code) => code.includes(text));
  if (block === undefined) throw new Error(`${page} has no block with ${text}.`);
  const { outputText } = ts.transpileModule(block, { compilerOptions: { module: ts.ModuleKind.CommonJS } });
  const load = (name: string): unknown => modules[name] ?? process.getBuiltinModule(name);
  const resolve = (name: string): string | undefined => paths[name];
  const exported: Record<string, unknown> = {};
  const quiet = { log: () => undefined };
  const run = compileFunction(outputText, ['require', 'exports', 'console']) as (...given: unknown[]) => void;
  run(Object.assign(load, { resolve }), exported, quiet);
  return exported;
}
