/**
 * The process of a contestant's callers. It is asked for a block at a time, so that no contestant pays for a request of the benchmark
 * with each transfer. A contestant that is a library in its users' process is in this one.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { inClosedLoop } from '../closed-loop';
import { accountOf } from '../transfer';
import { prefixOf } from './block';
import type { Block, BlockAnswer, Call } from './block';

/** @returns whether the transfer was made; false when it was refused as a whole */
export type MakeTransfer = (call: Call) => Promise<boolean>;

/** Answers on the port of the process's health check. */
export function serveCallers(ways: Readonly<Record<string, MakeTransfer>>, check: () => Promise<unknown>): void {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method === 'POST') {
      const block = JSON.parse(await text(request)) as Block; // Cast: only the benchmark asks.
      const make = ways[block.way];
      if (!make) throw new RangeError(`These callers do not know ${block.way}.`);
      response.end(JSON.stringify(await run(block, make)));
    } else {
      await check();
      response.end('healthy');
    }
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      console.error(error);
      response.statusCode = 500;
      response.end(inspect(error));
    });
  });
  server.listen(Number(process.env['TXN_HEALTH_PORT']), process.env['TXN_HEALTH_HOST']);
  process.on('SIGTERM', () => process.exit(0));
}

async function run({ way, callers, holdMs = 0, ...numbers }: Block, make: MakeTransfer): Promise<BlockAnswer> {
  const latenciesMs: number[] = [];
  const refused: number[] = [];
  const begun = performance.now();
  const count = await inClosedLoop(callers, numbers, async (n) => {
    const asked = performance.now();
    const account = accountOf(n);
    const transfer = { from: account, to: account, amount: 1, currency: 'EUR' };
    if (await make({ id: `${prefixOf(way)}${n}`, transfer, holdMs })) latenciesMs.push(performance.now() - asked);
    else refused.push(n);
  });
  return { count, seconds: (performance.now() - begun) / 1000, latenciesMs, refused };
}
