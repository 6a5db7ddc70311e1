/**
 * A server whose owner is dead may still be running: the guard has only just been told, or was killed too. Whoever takes over its
 * directory must see it gone first, because two servers on the same files destroy them. So a server's process is noted beside its
 * files, with what identifies it, and the next owner ends what the note names.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { exists, isAlive, startOf } from './identity';

interface Note {
  readonly pid: number;
  readonly start: string;
}

const POLITE_MS = 10_000;
const KILLED_MS = 5_000;

/** Notes in `file` that the process `pid` is at work. */
export async function noteProcess(file: string, pid: number): Promise<void> {
  const note: Note = { pid, start: startOf(pid) };
  await writeFile(`${file}.new`, JSON.stringify(note));
  await rename(`${file}.new`, file);
}

/** Ends the process that is noted in `file`, if it is still there. */
export async function endNotedProcess(file: string, signal: NodeJS.Signals): Promise<void> {
  const note = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as Note,
    () => undefined,
  );
  // Where processes cannot be told apart by their start, a number that may belong to somebody else by now is left alone.
  if (note && note.start !== '' && isAlive(note.pid, note.start)) await endOrphan(note.pid, signal);
}

/** Asks a process that is not our child to stop, kills it if it does not, and waits until it is gone. */
export async function endOrphan(pid: number, signal: NodeJS.Signals): Promise<void> {
  for (const [blow, patienceMs] of [
    [signal, POLITE_MS],
    ['SIGKILL', KILLED_MS],
  ] as const) {
    if (!exists(pid)) return;
    try {
      process.kill(pid, blow);
    } catch {
      // It ended between the look and the blow.
    }
    for (const deadline = Date.now() + patienceMs; exists(pid) && Date.now() < deadline;) await sleep(20);
  }
}
