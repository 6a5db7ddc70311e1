/**
 * Rules X1 to X3 and X5 at random: writers that commit, roll back, are slow, lose their connection or leave their transaction in doubt,
 * over a few keys, while the processes of the relays are killed, and replaced while they live. Then quiet, and nothing is missing.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { wakeRelays } from 'temporal-txn/outbox';
import { spawnGuarded } from 'temporal-txn/testing';
import type { GuardedProcess } from 'temporal-txn/testing';
import type { Pool } from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { quietPool } from '../quiet-pool';
import { depth } from '../depth';
import { usePostgres } from '../participant/fixture';
import { generator, seedOf } from '../property/seed';
import { eventsOf, outbox, until, untilLeft, useOutbox } from './fixture';

const SECONDS = Number(process.env['TXN_OUTBOX_SECONDS'] ?? depth({ sample: 8, campaign: 300 }));
const SEATS = 2;
const WRITERS = 8;
const KEYS = Array.from({ length: 20 }, (_, n) => `key-${n}`);
const script = resolve(__dirname, '../../dist/test/outbox/relay-child.js');

const postgres = usePostgres();
const test = useOutbox(postgres, 'campaign');

/** As `relay-child.ts` calls itself. */
const ownerOf = ({ pid }: GuardedProcess): string => `process ${pid}`;

/** The relays, each in its seat. */
class Relays {
  readonly #seats: GuardedProcess[] = [];
  /** Those that were replaced while they lived. */
  readonly #zombies: GuardedProcess[] = [];
  readonly directory = mkdtempSync(join(tmpdir(), 'txn-campaign-'));

  constructor(private readonly targetUrl: string) {}

  /** Whoever had the seat stays: it has to notice by itself. */
  async start(seat: number): Promise<void> {
    const before = this.#seats[seat];
    // One that is still booting would take the seat over after its replacement.
    if (before)
      await until(
        `seat ${seat} is taken, or its process has ended`,
        async () => !before.running || (await this.#owners(seat)).join() === ownerOf(before),
      );
    const process_ = await spawnGuarded(process.execPath, [script], {
      env: {
        ...process.env,
        OUTBOX_URL: test.url,
        TARGET_URL: this.targetUrl,
        SEAT: String(seat),
        SEATS: String(SEATS),
        // So that most of those that are killed are at work.
        LATENCY_MS: '50',
      },
      log: join(this.directory, 'log'),
    });
    if (before?.running === true) this.#zombies.push(before);
    this.#seats[seat] = process_;
  }

  async kill(seat: number): Promise<void> {
    await this.#seats[seat]?.kill();
  }

  /** Until the process of each seat has taken it over. */
  async ready(): Promise<void> {
    for (const [seat, process_] of this.#seats.entries())
      await until('each seat is taken', async () => (await this.#owners(seat)).join() === ownerOf(process_));
  }

  /** Who has the partitions of a seat. */
  async #owners(seat: number): Promise<(string | null)[]> {
    const rows = await test.rows<{ owner: string | null }>(
      'select distinct owner from txn.outbox_partition where partition % $1 = $2',
      [SEATS, seat],
    );
    return rows.map(({ owner }) => owner);
  }

  /** How those ended that were replaced. */
  zombies(): Promise<unknown[]> {
    return Promise.all(this.#zombies.map(({ exited }) => exited));
  }

  async end(): Promise<void> {
    await Promise.all([...this.#seats, ...this.#zombies].map((one) => one.kill()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** What was done, and what is known of it. */
class Writing {
  readonly committed = new Map<string, number>();
  readonly inDoubt: { readonly gid: string; readonly keys: readonly string[] }[] = [];
  readonly done = { committed: 0, rolledBack: 0, lost: 0, prepared: 0, refused: 0 };

  constructor(private readonly pool: Pool) {}

  #keep(keys: readonly string[]): void {
    for (const key of keys) this.committed.set(key, (this.committed.get(key) ?? 0) + 1);
  }

  async one(random: () => number): Promise<void> {
    const keys = Array.from({ length: 1 + Math.floor(random() * 4) }, () => pick(KEYS, random));
    const fate = random();
    const client = await this.pool.connect();
    client.on('error', () => undefined);
    let broken = false;
    try {
      await client.query(`begin; set local lock_timeout = '200ms'`);
      await outbox.append(client, eventsOf(...keys.slice(0, 2)));
      if (random() < 0.2) await sleep(random() * 60);
      if (keys.length > 2) await outbox.append(client, eventsOf(...keys.slice(2)));
      if (fate < 0.65) {
        await client.query('commit');
        this.#keep(keys);
        this.done.committed++;
        if (random() < 0.5) wakeRelays(this.pool);
      } else if (fate < 0.85) {
        await client.query('rollback');
        this.done.rolledBack++;
      } else if (fate < 0.9) {
        broken = true;
        const [own] = (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows;
        await this.pool.query('select pg_terminate_backend($1, 5000)', [own?.pid]);
        this.done.lost++;
      } else {
        const gid = `campaign-${this.done.prepared++}`;
        await client.query(`prepare transaction '${gid}'`);
        this.inDoubt.push({ gid, keys });
      }
    } catch (error) {
      // Another one has the key, in doubt perhaps; two that append twice may also deadlock.
      expect(error).toMatchObject({ code: expect.stringMatching(/^(55P03|40P01)$/) });
      await client.query('rollback');
      this.done.refused++;
    } finally {
      client.removeAllListeners('error');
      client.release(broken);
    }
  }

  /** Ends one that is in doubt. */
  async decide(random: () => number): Promise<void> {
    const [one] = this.inDoubt.splice(Math.floor(random() * this.inDoubt.length), 1);
    if (!one) return;
    const commits = random() < 0.6;
    await this.pool.query(`${commits ? 'commit' : 'rollback'} prepared '${one.gid}'`);
    if (commits) this.#keep(one.keys);
  }
}

const pick = <T>(list: readonly T[], random: () => number): T => {
  const one = list[Math.floor(random() * list.length)];
  if (one === undefined) throw new Error('The list is empty.');
  return one;
};

it(
  'publishes what committed and nothing else, in the order of each key, and catches up when the faults are over',
  async () => {
    const seed = seedOf('outbox campaign');
    const target = quietPool({ connectionString: await postgres.createService('campaign_target') });
    onTestFinished(() => target.end());
    await target.query('create table published (at serial, key text, version int, id text, pid int)');
    const relays = new Relays(target.options.connectionString ?? '');
    onTestFinished(() => relays.end());
    for (let seat = 0; seat < SEATS; seat++) await relays.start(seat);

    const writing = new Writing(test.pool);
    const end = Date.now() + SECONDS * 1_000;
    const faults = { kills: 0, replacements: 0 };
    // A busy machine takes longer to come to it.
    const isCampaign = async (): Promise<boolean> => {
      const { rows } = await target.query('select distinct pid from published');
      return (
        rows.length > SEATS && faults.kills > SECONDS / 8 && Object.values(writing.done).every((count) => count > 0)
      );
    };
    let goesOn = true;
    const loop = async (random: () => number, mostPauseMs: number, act: () => Promise<void>): Promise<void> => {
      for (; goesOn; await sleep(random() * mostPauseMs)) await act();
    };
    const roles = Array.from({ length: WRITERS + 2 }, (_, n) => generator(seed + n));
    const [killer = generator(seed), decider = generator(seed), ...writers] = roles;
    await Promise.all([
      ...writers.map((random) => loop(random, 25, () => writing.one(random))),
      loop(decider, 80, () => writing.decide(decider)),
      loop(killer, 2_400, async () => {
        const seat = Math.floor(killer() * SEATS);
        if (killer() < 0.7) {
          await relays.kill(seat);
          faults.kills++;
        } else faults.replacements++;
        await relays.start(seat);
        goesOn = Date.now() < end || !(await isCampaign());
      }),
    ]).finally(() => (goesOn = false));
    while (writing.inDoubt.length > 0) await writing.decide(decider);
    await relays.ready();
    const over = Date.now();
    await untilLeft(test, 0, 30_000);
    const caughtUpMs = Date.now() - over;
    for (const exit of await relays.zombies()) expect(exit).toMatchObject({ code: 1 });
    const said = readFileSync(join(relays.directory, 'log'), 'utf8').split('\n').filter(Boolean);
    for (const line of said) expect(line).toMatch(/^RelayReplacedError/);

    const { rows } = await target.query<{ key: string; version: number; id: string; pid: number }>(
      'select key, version, id, pid from published order by at',
    );
    const by = new Set(rows.map(({ pid }) => pid)).size;
    const duplicates = rows.length - new Set(rows.map(({ id }) => id)).size;
    const told = { ...writing.done, ...faults, published: rows.length, duplicates, by, caughtUpMs };
    process.stdout.write(`outbox campaign: ${JSON.stringify(told)}\n`);
    for (const [key, count] of writing.committed) {
      const first = [...new Set(rows.filter((row) => row.key === key).map(({ version }) => version))];
      expect(first, `${key}, in the order in which each came first`).toEqual(
        Array.from({ length: count }, (_, n) => n + 1),
      );
    }
    const events = await test.rows<{ id: string }>('select id from txn.outbox');
    expect(new Set(rows.map(({ id }) => id))).toEqual(new Set(events.map(({ id }) => id)));
    expect(events).toHaveLength([...writing.committed.values()].reduce((sum, count) => sum + count, 0));
    // That it was a campaign at all.
    expect(Object.values(writing.done).every((count) => count > 0)).toBe(true);
    expect(faults.kills).toBeGreaterThan(SECONDS / 8);
    expect(by).toBeGreaterThan(2);
    // A kill in the short moment between an event and the note that it is out: not in every sample.
    expect(duplicates).toBeGreaterThanOrEqual(depth({ sample: 0, campaign: 1 }));
  },
  (SECONDS + 90) * 1_000,
);
