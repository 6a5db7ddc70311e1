/**
 * What a process has written to its log since a moment: the part that belongs into an error about this start, not the last one's.
 */
import { open, stat } from 'node:fs/promises';

const SHOWN_BYTES = 4_000;

/** Remembers where the log ends now; the function it answers reads what came after that, at most the last 4,000 bytes. */
export async function tailOf(log: string): Promise<() => Promise<string>> {
  const from = await stat(log).then(
    (found) => found.size,
    () => 0,
  );
  return async () => {
    const file = await open(log, 'r').catch(() => undefined);
    if (!file) return '';
    try {
      const { size } = await file.stat();
      const start = Math.max(from, size - SHOWN_BYTES);
      const { buffer, bytesRead } = await file.read({
        buffer: Buffer.alloc(Math.max(size - start, 0)),
        position: start,
      });
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  };
}
