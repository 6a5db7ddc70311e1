/** What the command says of events that cannot be published, and does about one. */
import { defineOutbox, relay, UnpublishableEventError } from 'temporal-txn/outbox';
import { afterEach, describe, expect, it } from 'vitest';
import type { Name } from './fixture';
import { NOWHERE, useBanks } from './fixture';

const outbox = defineOutbox('/bank');
const KEY = "account 'one'";

describe('temporal-txn dead-letters', () => {
  const { bank, txn } = useBanks();
  const run = (args: readonly string[]) => txn(args, { TEMPORAL_ADDRESS: NOWHERE });
  const who = ['--by', 'ann', '--reason', 'because'];

  afterEach(async () => {
    for (const name of ['north-bank', 'south-bank'] as const)
      await bank(name).pool.query(
        'truncate txn.outbox, txn.outbox_queue, txn.outbox_key, txn.outbox_dead_letter, txn.outbox_intervention',
      );
  });

  /** Publishes for a while. Returns what was published. */
  async function publish(at: Name, refuse: (data: unknown) => boolean, count: number): Promise<unknown[]> {
    const stop = new AbortController();
    const published: unknown[] = [];
    let seen = 0;
    const running = relay({
      pool: bank(at).pool,
      owner: 'test',
      pollMs: 20,
      stop: stop.signal,
      publisher: {
        publish: async ({ data }) => {
          if (refuse(data)) throw new UnpublishableEventError('nobody \u001b[2J knows it');
          published.push(data);
        },
      },
      observe: (round) => {
        seen += round.published.length + round.parked.length;
        if (seen >= count) stop.abort();
      },
    });
    await running;
    return published;
  }

  async function park(at: Name): Promise<void> {
    const tx = await bank(at).pool.connect();
    await outbox.append(tx, [
      { type: 'Bad', key: KEY, data: { n: 1 } },
      { type: 'Good', key: KEY, data: { n: 2 } },
      { type: 'Good', key: 'account-two', data: { n: 3 } },
    ]);
    tx.release();
    expect(await publish(at, (data) => (data as { n: number }).n === 1, 2)).toEqual([{ n: 3 }]);
  }

  it('says so when there is none', async () => {
    const { stdout, exitCode } = await run(['dead-letters']);
    expect(stdout).toMatch(/^Nothing needs a person: no key is parked\./);
    expect(exitCode).toBe(0);
  });

  it('lists them with what to type, and nothing that a terminal obeys', async () => {
    await park('south-bank');
    const { stdout, exitCode } = await run(['dead-letters']);
    expect(exitCode).toBe(4);
    expect(stdout).toMatch(/^A person is needed: 1 key parked at an event that cannot be published\./);
    expect(stdout).toContain('after 1 attempt; 2 events in all at this key');
    expect(stdout).toContain('nobody \\u001b[2J knows it');
    expect(stdout).toContain(`temporal-txn dead-letter south-bank 'account '\\''one'\\''' --event-version 1 --retry`);
    expect(await run(['dead-letters', 'north-bank'])).toMatchObject({ exitCode: 0 });
    const json = JSON.parse((await run(['dead-letters', '--json'])).stdout) as { services: { service: string }[] };
    expect(json.services.map(({ service }) => service)).toEqual(['north-bank', 'south-bank']);
  });

  it.each([
    { act: ['--retry'], then: [{ n: 1 }, { n: 2 }], noted: 'retry' },
    { act: ['--skip'], then: [{ n: 2 }], noted: 'skip' },
    { act: ['--data', '{"n":4}'], then: [{ n: 4 }, { n: 2 }], noted: 'edit' },
  ])('does $noted, after it has told what it would do', async ({ act, then, noted }) => {
    await park('south-bank');
    const args = ['dead-letter', 'south-bank', KEY, '--event-version', '1', ...act, ...who];
    const told = await run(args);
    expect(told).toMatchObject({ exitCode: 4, stdout: expect.stringMatching(/^Nothing was changed\. With --apply/) });
    expect(await bank('south-bank').rows('select from txn.outbox_dead_letter')).toHaveLength(1);
    expect(await run([...args, '--apply'])).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^Done:/) });
    expect(await publish('south-bank', () => false, then.length)).toEqual(then);
    expect(await bank('south-bank').rows('select action, actor, reason from txn.outbox_intervention')).toEqual([
      { action: noted, actor: 'ann', reason: 'because' },
    ]);
    expect(await run([...args, '--apply'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('There is none at south-bank'),
    });
  });

  it('has one left out that was published after it was parked, instead of changed', async () => {
    await park('south-bank');
    // As a relay of an earlier version, which was slow, took it for published.
    await bank('south-bank').rows('delete from txn.outbox_queue where key = $1 and version = 1', [KEY]);
    const about = ['dead-letter', 'south-bank', KEY, '--event-version', '1', ...who, '--apply'];
    expect(await run([...about, '--data', '{"n":4}'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/^Nothing was changed: .* It was published already.* --skip\.$/m),
    });
    expect(await run([...about, '--skip'])).toMatchObject({ exitCode: 0 });
    expect(await publish('south-bank', () => false, 1)).toEqual([{ n: 2 }]);
  });

  it.each([
    {
      what: 'an unknown service',
      args: ['nobody', KEY, '--event-version', '1', '--retry'],
      says: 'no database is configured for "nobody"',
    },
    {
      what: 'a bad version',
      args: ['south-bank', KEY, '--event-version', '1.5', '--retry'],
      says: 'Give a whole number from 1 up',
    },
    {
      what: 'nothing to do',
      args: ['south-bank', KEY, '--event-version', '1'],
      says: 'Give one of --retry, --skip and --data',
    },
    {
      what: 'two things to do',
      args: ['south-bank', KEY, '--event-version', '1', '--retry', '--skip'],
      says: 'cannot be used with',
    },
    { what: 'no JSON', args: ['south-bank', KEY, '--event-version', '1', '--data', '{'], says: 'Give JSON' },
    {
      what: 'no such event',
      args: ['south-bank', KEY, '--event-version', '7', '--skip'],
      says: 'There is none at south-bank',
    },
  ])('refuses $what', async ({ args, says }) => {
    const { exitCode, stderr } = await run(['dead-letter', ...args, ...who, '--apply']);
    expect(stderr).toContain('Nothing was changed');
    expect(stderr).toContain(says);
    expect(exitCode).toBe(2);
  });
});
