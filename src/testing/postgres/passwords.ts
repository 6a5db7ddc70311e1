/**
 * The passwords of one server: random, made when first asked for, and kept beside the data directory in a file that only its owner
 * may read, so that a second start of the same directory knows them. They are written before they are used: a crash in between
 * leaves a password that nobody has, never a role whose password nobody knows.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class Passwords {
  readonly #file: string;
  readonly #byRole: Record<string, string>;

  constructor(directory: string) {
    this.#file = join(directory, 'passwords.json');
    this.#byRole = read(this.#file);
  }

  /** Whether the role has one. */
  has(role: string): boolean {
    return this.#byRole[role] !== undefined;
  }

  /**
   * The password of a role. Letters and digits only: it goes into URLs and command lines of people's tools unquoted.
   *
   * @param otherwise where it has none. @default a new one
   */
  of(role: string, otherwise?: string): string {
    const known = this.#byRole[role];
    if (known !== undefined) return known;
    const made = otherwise ?? randomBytes(24).toString('hex');
    this.#byRole[role] = made;
    const aside = `${this.#file}.${process.pid}`;
    writeFileSync(aside, JSON.stringify(this.#byRole), { mode: 0o600 });
    renameSync(aside, this.#file);
    return made;
  }
}

function read(file: string): Record<string, string> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}
