/** What the callers of a contestant are asked for, and what they answer. */
import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Numbers } from '../closed-loop';
import type { Transfer } from '../transfer';

/** Transfers, made by so many callers at a time. The same number twice is the same transfer again. */
export interface Block extends Numbers {
  readonly way: string;
  readonly callers: number;
  /** How long each transfer is held open between its debit and its credit, in milliseconds; usually not at all. */
  readonly holdMs?: number;
}

export interface BlockAnswer {
  /** How many transfers there were. */
  readonly count: number;
  readonly seconds: number;
  /** Of those that were made. */
  readonly latenciesMs: readonly number[];
  /** Numbers of those that were refused as a whole: they have changed nothing. */
  readonly refused: readonly number[];
}

/** One transfer of a block. */
export interface Call {
  readonly id: string;
  readonly transfer: Transfer;
  readonly holdMs: number;
}

/** What the ids of a contestant's transfers begin with; their number follows. */
export const prefixOf = (way: string): string => `${way}-`;

/** @throws when one of the transfers ended in any other way than made or refused */
export async function askForBlock(callersUrl: string, block: Block): Promise<BlockAnswer> {
  // Not by fetch: it waits five minutes for an answer and no longer.
  const asking = request(callersUrl, { method: 'POST' }).end(JSON.stringify(block));
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  const answer = await text(response);
  if (response.statusCode !== 200) throw new Error(`Nothing was measured: ${block.way} failed. ${answer}`);
  return JSON.parse(answer) as BlockAnswer; // Cast: only callers answer.
}
