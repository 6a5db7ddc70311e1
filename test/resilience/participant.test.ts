/** What an open circuit does to the branches of a participant, with PostgreSQL: new work is not attempted, what was begun is ended. */
import type { Pool } from 'pg';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { METRICS } from '../../src/observability';
import { quietPool } from '../quiet-pool';
import { RecordingMeter } from '../recording-meter';
import {
  circuit,
  keepCircuits,
  latestRulings,
  participantCircuit,
  recordRuling,
  refuse,
  reportedCircuits,
} from '../../src/participant';
import type { Circuit } from '../../src/participant';
import { Ledger } from '../branch-log/ledger';
import type { Body, LedgerBranch } from '../branch-log/ledger';
import { settled, useLedger } from '../branch-log/fixture';
import { usePostgres } from '../participant/fixture';
import { Door } from '../door';

const postgres = usePostgres();
const test = useLedger(postgres, 'circuits');

const down = async (): Promise<never> => {
  throw new Error('503');
};

/** A gateway that is known to be away. */
async function openGateway(): Promise<Circuit> {
  const gateway = circuit('gateway', { trip: { consecutive: 1 }, halfOpenAfterMs: 60_000, jitter: 0 });
  await gateway.run(down).catch(() => undefined);
  return gateway;
}

const prepareOf = (branch: LedgerBranch, body?: Body): Promise<unknown> => {
  const request = { ...branch.asked, token: 't', register: 'elsewhere', votes: 'answer' };
  return test.ledger.call('mark.prepare', request, body);
};

describe('an operation whose callee is known to be away', () => {
  it('did nothing: the attempt is rolled back, and comes again when the circuit may be tried', async () => {
    const gateway = await openGateway();
    const branch = test.ledger.branch();
    const failure = await settled(branch.execute(() => gateway.run(down)));
    expect(failure).toMatchObject({
      type: 'CircuitOpen',
      nonRetryable: false,
      category: 'BENIGN',
      details: [{ circuit: 'gateway', retryAfterMs: expect.any(Number) }],
    });
    const { nextRetryDelay } = failure as { nextRetryDelay: number };
    expect(nextRetryDelay).toBeGreaterThan(50_000);
    expect(nextRetryDelay).toBeLessThanOrEqual(66_000);
    expect(await branch.row()).toBeUndefined();
    expect(await branch.marks()).toEqual({ effects: 0, undos: 0 });
    gateway.close();
    expect(await branch.execute(() => gateway.run(async () => 'paid'))).toMatchObject({ result: 'paid' });
  });

  it('is refused for good where the caller wants to fail fast, and nothing can come after it', async () => {
    const gateway = await openGateway();
    const branch = test.ledger.branch({ failFast: true });
    for (let i = 0; i < 2; i++)
      expect(await settled(branch.execute(() => gateway.run(down)))).toMatchObject({
        type: 'Refusal',
        details: [{ code: 'circuit-open', details: { circuit: 'gateway' } }],
      });
    gateway.close();
    expect(await settled(branch.execute()), 'an attempt that comes late').toMatchObject({ type: 'Refusal' });
    expect(await branch.state()).toBe('refused');
    expect(await branch.marks()).toEqual({ effects: 0, undos: 0 });
  });

  it('votes to abort in two-phase commit, where to wait would keep the locks of the others', async () => {
    const gateway = await openGateway();
    const branch = test.ledger.branch();
    expect(await prepareOf(branch, () => gateway.run(down))).toMatchObject({
      vote: 'abort',
      reason: { code: 'circuit-open' },
    });
    expect(await branch.state()).toBe('refused');
  });

  it('delays a compensation and never ends it', async () => {
    const gateway = await openGateway();
    const branch = test.ledger.branch({ failFast: true });
    await branch.execute();
    expect(await settled(branch.compensate(() => gateway.run(down)))).toMatchObject({
      type: 'CircuitOpen',
      nonRetryable: false,
    });
    expect(await branch.marks()).toEqual({ effects: 1, undos: 0 });
    gateway.close();
    expect(await branch.compensate()).toEqual({ answer: 'compensated' });
  });
});

describe('an attempt that was not made because a circuit is open', () => {
  const coordinated = { token: 't', register: 'elsewhere', votes: 'answer' };
  it.each<[string, string, object]>([
    ['a saga, which comes again', 'mark', {}],
    ['a saga that fails fast', 'mark', { failFast: true }],
    ['a compensation', 'mark.compensate', {}],
    ['two-phase commit', 'mark.prepare', coordinated],
    ['two-phase commit that only reads', 'look.prepare', coordinated],
    ['try-confirm-cancel', 'hold.try', coordinated],
  ])('(%s) is counted as such, and is no attempt that took so long', async (_, question, more) => {
    const recorded = new RecordingMeter();
    const ledger = new Ledger(test.ledger.pool, { metricMeter: recorded.meter });
    const [operation = ''] = question.split('.');
    const { asked } = ledger.branch({ operation });
    if (question.endsWith('.compensate')) await test.ledger.call(operation, asked);
    const gateway = circuit('gateway');
    gateway.isolate();
    await settled(ledger.call(question, { ...asked, ...more }, () => gateway.run(down)));
    expect(recorded.told(METRICS.notAttempted)).toMatchObject([
      { value: 1, tags: { participant_id: 'test', circuit: 'gateway' } },
    ]);
    expect(recorded.told(METRICS.operationDuration)).toEqual([]);
  });

  it.each([
    ['is asked again, and says what it said before', 1, async () => 'not asked'],
    ['has another way to go', 0, async (gateway: Circuit) => gateway.run(down).catch(() => 'later')],
  ])('is none that %s', async (_, before, body) => {
    const recorded = new RecordingMeter();
    const ledger = new Ledger(test.ledger.pool, { metricMeter: recorded.meter });
    const gateway = circuit('gateway');
    gateway.isolate();
    const branch = ledger.branch({ failFast: true });
    for (let i = 0; i < before; i++) await settled(branch.execute(() => gateway.run(down)));
    await settled(branch.execute(() => body(gateway)));
    expect(recorded.told(METRICS.notAttempted)).toHaveLength(before);
    expect(recorded.told(METRICS.operationDuration)).toMatchObject([{ tags: { success: 'true' } }]);
  });
});

describe('a participant whose database is away', () => {
  let door: Door;
  let pool: Pool;
  // Open for as long as a busy machine takes for one attempt more.
  const own = (): Circuit => participantCircuit({ trip: { consecutive: 3 }, halfOpenAfterMs: 3_000, jitter: 0 });

  beforeAll(async () => {
    const url = new URL(test.url);
    door = new Door({ host: url.hostname, port: Number(url.port) });
    url.port = String(await door.open());
    pool = quietPool({ connectionString: url.href, max: 5, connectionTimeoutMillis: 20_000 });
    return async () => {
      await door.close();
      await pool.end();
    };
  });

  afterEach(() => void (door.shut = false));

  it('is not asked while that is known, and is asked again when it may be back', async () => {
    const itself = own();
    const ledger = new Ledger(pool, { circuit: itself });
    const branch = ledger.branch();
    door.shut = true;
    const failures: unknown[] = [];
    for (let i = 0; i < 4; i++) failures.push(await settled(branch.execute()));
    expect(failures.map((failure) => (failure as { type: string }).type)).toEqual([
      'OperationFailed',
      'OperationFailed',
      'OperationFailed',
      'CircuitOpen',
    ]);
    expect(failures[3]).toMatchObject({ details: [{ circuit: 'participant' }], nonRetryable: false });
    door.shut = false;
    await expect
      .poll(() =>
        branch.execute().then(
          () => 'done',
          () => 'not yet',
        ),
      )
      .toBe('done');
    expect(itself.report().state).toBe('closed');
    expect(await branch.marks()).toEqual({ effects: 1, undos: 0 });
  });

  it('ends and undoes what was begun, whatever its circuit says', async () => {
    const itself = own();
    const ledger = new Ledger(pool, { circuit: itself });
    const branch = ledger.branch();
    await branch.execute();
    itself.isolate();
    expect(await settled(ledger.branch().execute())).toMatchObject({ type: 'CircuitOpen' });
    expect(await branch.query()).toMatchObject({ answer: 'applied' });
    expect(await branch.compensate()).toEqual({ answer: 'compensated' });
  });

  it('is not away because operations refuse, meet constraints, wait for locks or contain a mistake', async () => {
    const itself = own();
    const ledger = new Ledger(pool, { circuit: itself });
    const bodies: Body[] = [
      async () => refuse('no', 'No.'),
      (tx) => tx.query('select 1 / 0'),
      (tx) => tx.query('insert into mark select * from mark limit 1; select * from nowhere'),
      async () => {
        throw new TypeError('x is not a function');
      },
    ];
    for (const body of [...bodies, ...bodies]) await settled(ledger.branch().execute(body));
    expect(itself.report()).toMatchObject({ state: 'closed' });
  });
});

describe('circuits and operators', () => {
  const ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });
  const keep = async (worker: string, ...circuits: Circuit[]): Promise<void> => {
    ends.push(await keepCircuits({ pool: test.ledger.pool, worker, circuits, everyMs: 20 }));
  };
  const seen = async (name: string): Promise<string[]> =>
    (await reportedCircuits(test.ledger.pool))
      .filter((report) => report.circuit === name)
      .map(({ worker, state }) => `${worker} ${state}`);
  const rule = (name: string, ruling: 'isolate' | 'close'): Promise<void> =>
    recordRuling(test.ledger.pool, { circuit: name, ruling, by: 'ann', reason: 'the gateway is being moved' });

  it('meet in the database: workers write how they stand, do what was ruled, and take their rows with them', async () => {
    const [one, two] = [circuit('mail'), circuit('mail')];
    await keep('host:1', one);
    await keep('host:2', two);
    await expect.poll(() => seen('mail')).toEqual(['host:1 closed', 'host:2 closed']);
    await rule('mail', 'isolate');
    await expect.poll(() => seen('mail')).toEqual(['host:1 isolated', 'host:2 isolated']);
    await expect(one.run(async () => 1)).rejects.toMatchObject({ state: 'isolated' });
    await rule('mail', 'close');
    await expect.poll(() => seen('mail')).toEqual(['host:1 closed', 'host:2 closed']);
    expect(await one.run(async () => 1)).toBe(1);
    await ends.shift()?.();
    expect(await seen('mail')).toEqual(['host:2 closed']);
  });

  it('are ruled for workers that start later, too, before they begin to work', async () => {
    await rule('sms', 'isolate');
    const late = circuit('sms');
    await keep('host:3', late);
    expect(late.report().state).toBe('isolated');
  });

  it('are ruled once: what opens by itself after it was closed stays open', async () => {
    await rule('fax', 'close');
    const fax = circuit('fax', { trip: { consecutive: 1 }, halfOpenAfterMs: 60_000 });
    await keep('host:4', fax);
    await fax.run(down).catch(() => undefined);
    await expect.poll(() => seen('fax')).toEqual(['host:4 open']);
    const [report] = (await reportedCircuits(test.ledger.pool)).filter(({ circuit: name }) => name === 'fax');
    expect(report?.halfOpenAt?.getTime()).toBeGreaterThan(Date.now());
    await rule('fax', 'close');
    await expect.poll(() => seen('fax')).toEqual(['host:4 closed']);
  });

  it('keep every ruling with who and why', async () => {
    await rule('pager', 'isolate');
    await rule('pager', 'close');
    const [latest] = (await latestRulings(test.ledger.pool)).filter(({ circuit: name }) => name === 'pager');
    expect(latest).toMatchObject({ ruling: 'close', by: 'ann', reason: 'the gateway is being moved' });
    const rows = await test.ledger.rows(`select ruling from txn.circuit_ruling where circuit = 'pager' order by id`);
    expect(rows).toEqual([{ ruling: 'isolate' }, { ruling: 'close' }]);
  });

  it('of workers that are gone are not shown, and a failing database stops nothing', async () => {
    await test.ledger.pool.query(
      `insert into txn.circuit (worker, circuit, state, cut_off, since, seen_at)
       values ('dead:1', 'relic', 'open', 1, now(), now() - interval '2 minutes')`,
    );
    expect(await seen('relic')).toEqual([]);
    const errors: unknown[] = [];
    const away = quietPool({ connectionString: test.url, max: 1 });
    const end = await keepCircuits({
      pool: away,
      worker: 'host:5',
      circuits: [circuit('tape')],
      everyMs: 20,
      onError: (error) => errors.push(error),
    });
    await away.end();
    await expect.poll(() => errors.length).toBeGreaterThan(1);
    await end();
  });
});
