/**
 * What a process has written to its log since a moment: the part that belongs into an error about this start, not the last one's.
 * A process that panics says why first and where after it, at length, so that both ends are kept.
 */
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

const FIRST_BYTES = 2_000;
const LAST_BYTES = 4_000;

/** Remembers where the log ends now; the function it answers reads what came after that, the middle left out when it is long. */
export async function outputFromNow(log: string): Promise<() => Promise<string>> {
  const from = await stat(log).then(
    (found) => found.size,
    () => 0,
  );
  return async () => {
    const file = await open(log, 'r').catch(() => undefined);
    if (!file) return '';
    try {
      const { size } = await file.stat();
      if (size - from <= FIRST_BYTES + LAST_BYTES) return await read(file, from, size);
      const [first, last] = [await read(file, from, from + FIRST_BYTES), await read(file, size - LAST_BYTES, size)];
      return `${first}\n[${size - from - FIRST_BYTES - LAST_BYTES} bytes left out]\n${last}`;
    } finally {
      await file.close();
    }
  };
}

async function read(file: FileHandle, start: number, end: number): Promise<string> {
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(Math.max(end - start, 0)), position: start });
  return buffer.toString('utf8', 0, bytesRead);
}
