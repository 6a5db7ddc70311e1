/**
 * Says on standard error what a longer wait is for. Someone at a terminal sees it at once; a log file or a test run gets it only
 * when the work takes more than a second, so that the usual case, a hit in the cache, stays silent everywhere.
 */
const PATIENCE_MS = 1_000;

export function reporter(stream: NodeJS.WriteStream = process.stderr): (message: string) => void {
  const startedAt = Date.now();
  const held: string[] = [];
  return (message) => {
    held.push(message);
    if (!stream.isTTY && Date.now() - startedAt < PATIENCE_MS) return;
    for (const text of held.splice(0)) stream.write(`temporal-txn: ${text}\n`);
  };
}
