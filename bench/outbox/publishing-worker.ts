/**
 * A process that publishes, with a publisher that counts and does nothing else: one relay, or one listener of
 * pg-transactional-outbox. It begins when it is told to, and says how far it is every few milliseconds.
 */
import { Pool } from 'pg';
import { inProcess, relay } from '../../src/outbox';
import { clockMs } from './clock';
import { startPeer } from './peer';
import { BEGIN, DATABASE_URL, JOB } from './protocol';
import type { Job, Report } from './protocol';
import { Tally } from './tally';

/** Between two reports, in milliseconds: often enough to end in time, too seldom to cost anything. */
const REPORT_MS = 5;

const connectionString = process.env[DATABASE_URL] ?? '';
const job = JSON.parse(process.env[JOB] ?? '') as Job; // Cast: only the benchmark starts this.

const tally = new Tally();
let publishedAt = 0;
let finished = 0;
let finishedAt = 0;
let due: NodeJS.Timeout | undefined;

function say(report: Report): void {
  process.send?.(report);
}

function reportSoon(): void {
  due ??= setTimeout(() => {
    due = undefined;
    say({ kind: 'progress', count: tally.count, astray: tally.astray, publishedAt, finished, finishedAt });
  }, REPORT_MS);
}

function published(key: string, version: number): boolean {
  publishedAt = clockMs();
  return tally.add(key, version);
}

function marked(events: number): void {
  finished += events;
  finishedAt = clockMs();
  reportSoon();
}

/** Makes ready to publish. @returns what begins */
async function prepare(): Promise<() => void> {
  if (job.kind !== 'ours') {
    const { kind, batch } = job;
    // Its commit follows, for each message its own: so the last of them is counted a moment too early.
    return () =>
      void startPeer(kind, { connectionString, batch }, (key, version) => {
        if (published(key, version)) marked(1);
      });
  }
  const pool = new Pool({ connectionString, max: 4 });
  await pool.query('select');
  const { seat, seats, batch } = job;
  return () => {
    relay({
      pool,
      owner: `bench-${seat}`,
      seat,
      seats,
      ...(batch === undefined ? {} : { batch }),
      publisher: inProcess(({ key, version }) => void published(key, version)),
      observe: ({ published: { length } }) => {
        if (length > 0) marked(length);
      },
      stop: new AbortController().signal,
    }).catch(fail);
  };
}

function fail(error: unknown): void {
  console.error(error);
  process.exit(1);
}

prepare().then((begin) => {
  process.once('message', (message) => {
    if (message === BEGIN) begin();
  });
  say({ kind: 'ready' });
}, fail);

// What it has not marked is of no use to anybody: the tables are emptied next.
process.on('SIGTERM', () => process.exit(0));
