/** Keeps the commands true that README.md and docs/ say to type: each is one of `temporal-txn`, and has the options that it is given. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { runInProcess } from '../cli/in-process';

const root = resolve(__dirname, '../..');
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs')).flatMap((file) => (file.endsWith('.md') ? [`docs/${file}`] : [])),
];

/** What stands in code, inline or in a block, after the name of the command: up to what ends a command in a shell. */
const typed = (page: string): string[] =>
  [...page.matchAll(/^ *```[a-z]*\n([\s\S]*?)^ *```$|`([^`\n]+)`/gm)]
    .map(([, block = '', inline = '']) => block || inline)
    .flatMap((code) => [...code.matchAll(/\btemporal-txn (?:-- )?([^\n;|>]+)/g)].map(([, rest = '']) => rest));

/** The blocks of code, each as its lines. */
const blocksOf = (page: string): string[][] =>
  [...page.matchAll(/^ *```[a-z]*\n([\s\S]*?)^ *```$/gm)].map(([, block = '']) => block.split('\n'));

const help = async (...args: string[]): Promise<string> => (await runInProcess([...args, '--help'], {})).stdout;

describe('the commands of the docs', () => {
  const options = new Map<string, string>();
  beforeAll(async () => {
    const overview = await help();
    const [, list = ''] = overview.split('\nCommands:\n');
    const names = [...list.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name = '']) => name).filter((name) => name !== 'help');
    expect(names.length).toBeGreaterThan(5);
    await Promise.all(names.map(async (name) => options.set(name, (await help(name)).split('\nOptions:\n')[1] ?? '')));
  }, 60_000);

  it.each(pages)('%s', (page) => {
    const wrong = typed(readFileSync(join(root, page), 'utf8')).filter((command) => {
      const [name = '', ...rest] = command.split(/\s+/);
      // Named as a whole, or in a sentence that a command prints: what follows is a word of that sentence.
      if (!/^[a-z-]+$/.test(name)) return false;
      const known = options.get(name);
      return (
        known === undefined ||
        rest.some((word) => /^--[a-z-]+$/.test(word) && !known.includes(`${word} `) && !known.includes(`${word}\n`))
      );
    });
    expect(wrong).toEqual([]);
  });

  it.each(pages)('change something where they are typed to, and do not end with the dry run: %s', (page) => {
    const dry = blocksOf(readFileSync(join(root, page), 'utf8')).flatMap((block) =>
      block.filter((line) => {
        const [, name = ''] = /^ *temporal-txn ([a-z-]+) /.exec(line) ?? [];
        const said = new RegExp(`temporal-txn ${name} .*--apply`);
        return (options.get(name) ?? '').includes('--apply ') && !block.some((other) => said.test(other));
      }),
    );
    expect(dry).toEqual([]);
  });
});
