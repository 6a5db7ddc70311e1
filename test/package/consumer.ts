/**
 * A user's project outside this repository, with the packed package and its peers installed by npm: what is imported but
 * not declared, or needed but not packed, is missing there as it would be for a user.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const repository = resolve(__dirname, '../..');
const execute = promisify(execFile);

/** The two kinds of user code, each in a folder with that `type` in its package.json. */
export const moduleKinds = ['commonjs', 'module'] as const;
export type ModuleKind = (typeof moduleKinds)[number];

export class Consumer {
  private constructor(private readonly home: string) {}

  /** Packs what is built and installs it. Needs no network when npm's cache is as `npm ci` left it. */
  static async install(): Promise<Consumer> {
    const consumer = new Consumer(realpathSync(mkdtempSync(join(tmpdir(), 'temporal-txn-consumer-'))));
    await consumer.installPackage();
    for (const kind of moduleKinds) consumer.setUp(kind);
    return consumer;
  }

  /** Puts a file into the project and returns its path. */
  write(kind: ModuleKind, file: string, source: string): string {
    const path = join(this.home, kind, file);
    writeFileSync(path, source);
    return path;
  }

  /** What a file of the project holds. */
  read(file: string): string {
    return readFileSync(join(this.home, file), 'utf8');
  }

  /** Runs a program of the project and returns what it printed; rejects with its error output when it fails. */
  async run(kind: ModuleKind, file: string): Promise<string> {
    const { stdout } = await execute(process.execPath, [file], { cwd: join(this.home, kind) });
    return stdout;
  }

  /** Type-checks a file of each kind, as node16 tells them apart; rejects with what the compiler said. */
  async typecheck(file: string): Promise<void> {
    const tsc = createRequire(__filename).resolve('typescript/bin/tsc');
    const compilerOptions = { module: 'node16', target: 'es2022', strict: true, noEmit: true, types: ['node'] };
    const project = join(this.home, 'tsconfig.json');
    const files = moduleKinds.map((kind) => `${kind}/${file}`);
    writeFileSync(project, JSON.stringify({ compilerOptions, files }));
    await execute(process.execPath, [tsc, '--project', project], { cwd: this.home }).catch(
      ({ stdout }: { stdout: string }) => {
        throw new Error(`A user's types do not compile:\n${stdout}`);
      },
    );
  }

  remove(): void {
    rmSync(this.home, { recursive: true, force: true });
  }

  private async installPackage(): Promise<void> {
    const { stdout } = await npm(repository, 'pack', '--json', '--ignore-scripts', '--pack-destination', this.home);
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    const dependencies = { 'temporal-txn': `file:${filename}`, ...peers(), ...typesOfPeers() };
    writeFileSync(join(this.home, 'package.json'), JSON.stringify({ private: true, dependencies }));
    await npm(this.home, 'install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund');
  }

  private setUp(kind: ModuleKind): void {
    mkdirSync(join(this.home, kind));
    this.write(kind, 'package.json', JSON.stringify({ type: kind }));
  }
}

/** The subpaths a user can import, as package.json lists them. */
export function subpaths(): string[] {
  const { name, exports } = readManifest();
  return Object.keys(exports)
    .filter((subpath) => subpath !== './package.json')
    .map((subpath) => subpath.replace('.', name));
}

/** The peers, optional ones too, at the versions that this repository is tested with. */
function peers(): Record<string, string> {
  const { peerDependencies, devDependencies } = readManifest();
  return Object.fromEntries(
    Object.entries(peerDependencies).map(([name, range]) => [name, devDependencies[name] ?? range]),
  );
}

/**
 * What Temporal's types are checked with. They name those of ms 3.0.0-canary.1, which node16 resolution does not find, and
 * do not compile with every @types/node; ours must compile without skipLibCheck all the same.
 */
function typesOfPeers(): Record<string, string> {
  const { devDependencies } = readManifest();
  return Object.fromEntries(['@types/ms', '@types/node'].map((name) => [name, devDependencies[name] ?? '*']));
}

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

function readManifest(): Manifest {
  return JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as Manifest;
}

function npm(cwd: string, ...args: string[]): Promise<{ stdout: string }> {
  return execute('npm', args, { cwd, shell: process.platform === 'win32' });
}
