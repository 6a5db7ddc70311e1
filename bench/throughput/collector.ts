/**
 * Loaded into every process of a contestant before its main module: has it collect its garbage when it is told to, in all its threads, so that
 * what is left is what it needs. The signal is one that nobody uses, and that does nothing to a process that does not know it.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void; // Cast: the flag has put it there.

/** What is left: what a process needs, whatever pages it has not given back. Written where somebody wants to know. */
const directory = process.env['HEAP_DIRECTORY'];

function collectAndTell(): void {
  collect();
  if (directory === undefined) return;
  const { heapUsed, external } = process.memoryUsage();
  writeFileSync(join(directory, `${process.pid}-${threadId}`), String(heapUsed + external));
}

const channel = new BroadcastChannel('collect garbage');
if (isMainThread) {
  process.on('SIGWINCH', () => {
    channel.postMessage(undefined);
    collectAndTell();
  });
} else channel.onmessage = collectAndTell;
// Nobody is kept alive by it. Cast: the types of Node.js leave out what the documentation has.
(channel as unknown as { unref(): void }).unref();
