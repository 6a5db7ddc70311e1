/**
 * Keeps README.md and docs/ true: every TypeScript block compiles against the package as it is, links lead somewhere, and the
 * scripts, files, tests and environment variables that the text names exist.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = resolve(__dirname, '../..');
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];

interface Block {
  readonly language: string;
  readonly text: string;
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const fence = /^ *```([a-z]*)\n([\s\S]*?)^ *```$/gm;
const blocksOf = (page: string): Block[] =>
  [...page.matchAll(fence)].map(([, language = '', text = '']) => ({ language, text }));
const proseOf = (page: string): string => page.replace(fence, '');

describe.each(pages)('%s', (page) => {
  const text = read(page);
  const prose = proseOf(text);

  it('has code that compiles', () => {
    expect(complaints().get(page)).toEqual([]);
  }, 180_000);

  it('has links that lead somewhere', () => {
    const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    const dead = links.filter((target) => !/^https?:/.test(target) && !leadsSomewhere(page, target));
    expect(dead).toEqual([]);
  });

  it('names files and folders that exist', () => {
    // A path in backticks: it has a slash or a known ending, and begins with a folder or file of this repository.
    const named = [...prose.matchAll(/`([\w.-]+(?:\/[\w.-]+)*\/?)`/g)].map(([, path = '']) => path);
    const ours = named.filter((path) => path.includes('/') && OURS.has(path.split('/')[0] ?? ''));
    expect(ours.filter((path) => !exists(path.startsWith('dist/') ? sourceOf(path) : path))).toEqual([]);
  });

  it('names npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = [...text.matchAll(/npm (?:run (?:-s )?([\w:-]+)|(test)\b)/g)].map(
      ([, script, test]) => script ?? test ?? '',
    );
    expect(named.filter((script) => scripts[script] === undefined)).toEqual([]);
  });

  it('names environment variables that are read somewhere', () => {
    const named = new Set([...text.matchAll(/\b(?:TXN|TEMPORAL)_[A-Z_]+\b/g)].map(([variable]) => variable));
    expect([...named].filter((variable) => !readers.includes(variable))).toEqual([]);
  });

  it('names search attributes and metrics that exist', () => {
    const named = [...text.matchAll(/\b(?:Txn[A-Z]\w+|txn_\w+)\b/g)].map(([name]) => name);
    expect(named.filter((name) => !observability.includes(name))).toEqual([]);
  });
});

const OURS = new Set(readdirSync(root).filter((name) => name !== 'node_modules'));

const exists = (path: string): boolean => statSync(join(root, path), { throwIfNoEntry: false }) !== undefined;
const sourceOf = (path: string): string => path.replace(/^dist\//, '').replace(/\.js$/, '.ts');

const filesBelow = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file}`)
    .filter((file) => /\.[jt]s$/.test(file));

/** Everything that reads the environment: our own code, the tests that need a browser, and the package that reads Temporal's settings. */
const readers = ['src', 'test/web-ui', 'node_modules/@temporalio/envconfig/lib']
  .flatMap(filesBelow)
  .map(read)
  .join('\n');
const observability = filesBelow('src/observability').map(read).join('\n');

function leadsSomewhere(page: string, target: string): boolean {
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page : join(dirname(page), path);
  if (!exists(file)) return false;
  return anchor === undefined || anchorsOf(read(file)).includes(anchor);
}

/** As GitHub makes them of headings. */
const anchorsOf = (page: string): string[] =>
  [...proseOf(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );

/**
 * What the compiler says of the blocks of each page: they are modules that lie side by side in a folder of this repository, with its own
 * options. A block that begins with `// name.ts` has that name, so that the others can import it. One program has all of them: what they
 * import is most of the work.
 */
const complaints = (() => {
  let found: ReadonlyMap<string, readonly string[]> | undefined;
  return (): ReadonlyMap<string, readonly string[]> => (found ??= compile());
})();

function compile(): ReadonlyMap<string, readonly string[]> {
  const folderOf = (page: string): string => join(root, '.snippets', page.replaceAll(/\W/g, '-'));
  const modules = new Map(
    pages.flatMap((page) =>
      blocksOf(read(page))
        .filter(({ language }) => language === 'ts')
        .map(({ text }, i): [string, string] => [
          join(folderOf(page), /^\/\/ ([\w-]+(?:\.test)?\.ts)\n/.exec(text)?.[1] ?? `block-${i + 1}.ts`),
          text,
        ]),
    ),
  );
  const folders = new Set([join(root, '.snippets'), ...pages.map(folderOf)]);
  const disk = ts.createCompilerHost(compilerOptions);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (path) => modules.has(path) || disk.fileExists(path),
    // The resolver looks for no file in a folder that is not there.
    directoryExists: (path) => folders.has(path) || ts.sys.directoryExists(path),
    readFile: (path) => modules.get(path) ?? disk.readFile(path),
    getSourceFile: (path, target) => {
      const text = modules.get(path);
      return text === undefined ? disk.getSourceFile(path, target) : ts.createSourceFile(path, text, target);
    },
  };
  const program = ts.createProgram([...modules.keys()], compilerOptions, host);
  return new Map(
    pages.map((page) => {
      const folder = folderOf(page);
      const own = [...modules.keys()].filter((path) => dirname(path) === folder);
      return [page, own.flatMap((path) => complaintsAbout(program, path))];
    }),
  );
}

function complaintsAbout(program: ts.Program, path: string): string[] {
  const file = program.getSourceFile(path);
  const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
  return found.map((problem) => {
    const line = file?.getLineAndCharacterOfPosition(problem.start ?? 0).line ?? 0;
    const what = ts.flattenDiagnosticMessageText(problem.messageText, '\n');
    return `${basename(path)}:${line + 1}: ${what}`;
  });
}

const compilerOptions = ((): ts.CompilerOptions => {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)) as {
    config: { compilerOptions: Record<string, unknown> };
  };
  const { tsBuildInfoFile: _, ...given } = config.compilerOptions;
  const { options } = ts.convertCompilerOptionsFromJson(given, root);
  return { ...options, noEmit: true, incremental: false };
})();
