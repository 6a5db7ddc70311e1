/** What the command says of circuits, and rules about one. */
import { circuit, keepCircuits } from 'temporal-txn/participant';
import { afterEach, describe, expect, it } from 'vitest';
import { NOWHERE, useBanks } from './fixture';

describe('temporal-txn circuits', () => {
  const { bank, txn } = useBanks();
  const run = (args: readonly string[]) => txn(args, { TEMPORAL_ADDRESS: NOWHERE });
  const who = ['--by', 'ann', '--reason', 'it is \u001b[2J moved'];
  const ends: (() => Promise<void>)[] = [];

  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    for (const name of ['north-bank', 'south-bank'] as const)
      await bank(name).pool.query('truncate txn.circuit, txn.circuit_ruling');
  });

  /** As a worker of the bank keeps its circuits. */
  async function keep(...circuits: ReturnType<typeof circuit>[]): Promise<void> {
    const { pool } = bank('south-bank');
    ends.push(await keepCircuits({ pool, worker: 'host:1', circuits, everyMs: 20 }));
    await expect
      .poll(async () => (await bank('south-bank').rows('select from txn.circuit')).length)
      .toBe(circuits.length);
  }

  it('says so when none is open', async () => {
    await keep(circuit('mail-server'));
    const { stdout, exitCode } = await run(['circuits']);
    expect(stdout).toMatch(/^Nothing needs a person: no circuit is open\./);
    expect(stdout).toMatch(/^south-bank, circuit mail-server\n {2}at host:1 +closed since /m);
    expect(stdout).toContain('north-bank: no worker has reported a circuit within the last minute.');
    expect(exitCode).toBe(0);
  });

  it('shows one that is open, since when, and when it is tried again', async () => {
    const mail = circuit('mail-server', { trip: { consecutive: 1 }, halfOpenAfterMs: 60_000 });
    await mail.run(() => Promise.reject(new Error('down'))).catch(() => undefined);
    await keep(mail, circuit('sms'));
    const { stdout, exitCode } = await run(['circuits', 'south-bank']);
    expect(exitCode).toBe(4);
    expect(stdout).toMatch(/^A person is needed: 1 circuit open\. New work that needs what is cut off/);
    expect(stdout).toMatch(/at host:1 +open since [\d-]+T[\d:.]+Z, tried again at [\d-]+T/);
    expect(stdout).toContain('temporal-txn circuit south-bank mail-server --by <who> --reason <why> --apply --close');
    expect(stdout).not.toContain('north-bank');
    const json = JSON.parse((await run(['circuits', '--json'])).stdout) as { participants: { circuits: unknown[] }[] };
    expect(json.participants.map(({ circuits }) => circuits.length)).toEqual([0, 2]);
  });

  it('isolates one at every worker, after it has told what it would do, until it is closed', async () => {
    const mail = circuit('mail-server');
    await keep(mail);
    const isolate = ['circuit', 'south-bank', 'mail-server', '--isolate', ...who];
    const told = await run(isolate);
    expect(told).toMatchObject({ exitCode: 4, stdout: expect.stringMatching(/^Nothing was changed\. With --apply/) });
    expect(await bank('south-bank').rows('select from txn.circuit_ruling')).toEqual([]);
    expect(await run([...isolate, '--apply'])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^Done: every worker of the participant keeps it open/),
    });
    await expect.poll(() => mail.report().state).toBe('isolated');
    const shown = await run(['circuits']);
    expect(shown.exitCode).toBe(4);
    expect(shown.stdout).toMatch(/last ruling +isolate by ann at [\d-]+T[\d:.]+Z: it is \\u001b\[2J moved/);
    expect(await run(['circuit', 'south-bank', 'mail-server', '--close', ...who, '--apply'])).toMatchObject({
      exitCode: 0,
    });
    await expect.poll(() => mail.report().state).toBe('closed');
    expect(await run(['circuits'])).toMatchObject({ exitCode: 0 });
  });

  it('isolates one before its worker starts, and says that nobody has reported it', async () => {
    const args = ['circuit', 'south-bank', 'mail-server', '--isolate', ...who, '--apply'];
    expect(await run(args)).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('No worker of south-bank reports a circuit now: check the name.'),
    });
    expect(await run(['circuits'])).toMatchObject({
      exitCode: 4,
      stdout: expect.stringContaining('no worker has reported it within the last minute'),
    });
    const late = circuit('mail-server');
    await keep(late);
    expect(late.report().state).toBe('isolated');
  });

  it.each([
    { what: 'an unknown participant', args: ['nobody', 'mail-server', '--close'], says: 'no database is configured' },
    { what: 'an unknown circuit', args: ['south-bank', 'mial-server', '--close'], says: 'report mail-server' },
    { what: 'nothing to do', args: ['south-bank', 'mail-server'], says: 'Give one of --isolate and --close' },
    { what: 'two things to do', args: ['south-bank', 'mail-server', '--close', '--isolate'], says: 'cannot be used' },
  ])('refuses $what', async ({ args, says }) => {
    await keep(circuit('mail-server'));
    const { exitCode, stderr } = await run(['circuit', ...args, ...who, '--apply']);
    expect(stderr).toContain('Nothing was changed');
    expect(stderr).toContain(says);
    expect(exitCode).toBe(2);
    expect(await bank('south-bank').rows('select from txn.circuit_ruling')).toEqual([]);
  });
});
