/**
 * The two known wrong ways to read an outbox, beside the relay in the same scenes: a cursor on positions skips what commits late,
 * and a reader that waits for all older transactions stalls behind one that is in doubt, in any database of the server.
 *
 * @see correctness reference, 1.7: late-visible sequence numbers, and the xid8 gate
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { quietPool } from '../quiet-pool';
import { usePostgres } from '../participant/fixture';
import { eventsOf, inDoubt, openTransaction, outbox, startRelay, Topic, useOutbox } from './fixture';

const postgres = usePostgres();
const test = useOutbox(postgres, 'readers');

/** Reads for as long as the test runs. What it has read so far, as `key/version`. */
type Reader = () => { readonly log: readonly string[] };

/** In place of the relay's question to the database: what comes after the position that it has reached. */
const ID_CURSOR = 'select position, key, version from txn.outbox where position > $1 order by position';

/** The same, up to where no older transaction is open or in doubt: `pg_snapshot_xmin`. No transaction id has wrapped here. */
const XMIN_GATE = `
  select position, key, version from txn.outbox
   where position > $1 and xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
   order by position`;

const cursorOn = (question: string): Reader => {
  return () => {
    const log: string[] = [];
    const stop = new AbortController();
    const running = (async () => {
      for (let reached = '0'; !stop.signal.aborted; await sleep(10)) {
        const rows = await test.rows<{ position: string; key: string; version: string }>(question, [reached]);
        for (const { position, key, version } of rows) {
          log.push(`${key}/${version}`);
          reached = position;
        }
      }
    })();
    onTestFinished(async () => {
      stop.abort();
      await running;
    });
    return { log };
  };
};

const theRelay: Reader = () => {
  const topic = new Topic();
  startRelay(test, topic, { pollMs: 10 });
  return topic;
};

/** As long as any reader here needs for what it can read, several times over: for what is not to come. */
const LONG_MS = 500;

/** For what is to come: a busy machine takes its time over it. */
const MOST_MS = 20_000;

/** Waits long for what is expected, since it comes at once as a rule; what is not expected has to be waited for in any case. */
async function reads(log: () => readonly string[], expected: boolean, ...events: readonly string[]): Promise<boolean> {
  for (const deadline = Date.now() + (expected ? MOST_MS : LONG_MS); Date.now() < deadline; await sleep(10))
    if (events.every((event) => log().includes(event))) return true;
  return false;
}

interface Seen {
  /** Others were read while the transaction was open. */
  readonly stalled: boolean;
  /** What it wrote was never read. */
  readonly skipped: boolean;
}

/** @param expected how long is waited for what rests on it; what was seen is told all the same */
type Scene = (log: () => readonly string[], expected: Seen) => Promise<Seen>;

const lateCommit: Scene = async (log, expected) => {
  const late = await openTransaction(test.pool);
  await outbox.append(late.tx, eventsOf('late'));
  await test.append('a', 'b');
  const stalled = !(await reads(log, !expected.stalled, 'a/1', 'b/1'));
  await late.commit();
  return { stalled, skipped: !(await reads(log, !expected.skipped, 'late/1')) };
};

const inDoubtHere: Scene = async (log, expected) => {
  await inDoubt(test.pool, 'here', (tx) => outbox.append(tx, eventsOf('late')));
  await test.append('a', 'b');
  const stalled = !(await reads(log, !expected.stalled, 'a/1', 'b/1'));
  await test.pool.query(`commit prepared 'here'`);
  return { stalled, skipped: !(await reads(log, !expected.skipped, 'late/1')) };
};

const inDoubtElsewhere: Scene = async (log, expected) => {
  const other: Pool = quietPool({ connectionString: await postgres.createService(`elsewhere_${Date.now()}`) });
  onTestFinished(() => other.end());
  await other.query('create table anything (n int)');
  await inDoubt(other, 'elsewhere', (tx) => tx.query('insert into anything values (1)'));
  await test.append('a', 'b');
  const stalled = !(await reads(log, !expected.stalled, 'a/1', 'b/1'));
  await other.query(`rollback prepared 'elsewhere'`);
  return { stalled, skipped: !(await reads(log, !expected.skipped, 'a/1', 'b/1')) };
};

const SOUND = { stalled: false, skipped: false };
const SKIPS = { stalled: false, skipped: true };
const STALLS = { stalled: true, skipped: false };

describe.each<[string, Scene, Record<'cursor' | 'gate' | 'relay', Seen>]>([
  ['a transaction that commits late', lateCommit, { cursor: SKIPS, gate: STALLS, relay: SOUND }],
  ['a transaction that is in doubt', inDoubtHere, { cursor: SKIPS, gate: STALLS, relay: SOUND }],
  ['one that is in doubt in another database', inDoubtElsewhere, { cursor: SOUND, gate: STALLS, relay: SOUND }],
])('%s', (_name, play, expected) => {
  it.each([
    ['a cursor on positions', 'cursor', cursorOn(ID_CURSOR)],
    ['a reader that waits for older transactions', 'gate', cursorOn(XMIN_GATE)],
    ['the relay', 'relay', theRelay],
  ] as const)('and %s', async (_reader, which, start) => {
    const reader = start();
    expect(await play(() => reader.log, expected[which])).toEqual(expected[which]);
  });
});
