/** A client whose Temporal is away, comes back, loses answers or says nothing: what it is told, how soon, and what has happened. */
import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { searchAttributeList } from 'temporal-txn/observability';
import { TemporalDevServer } from 'temporal-txn/testing';
import {
  InvalidPatience,
  TemporalUnavailable,
  TransactionClient,
  TransactionHandle,
  TransactionInterrupted,
  TransactionNotFound,
  TransactionTimeout,
} from 'temporal-txn/client';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { TemporalCalls, WaitOver } from '../../src/client/temporal-calls';
import { Door } from '../door';

let server: TemporalDevServer;
let door: Door;
let direct: Client;
let behind: Client;
const connections: Connection[] = [];

const clientAt = (address: string): Client => {
  const connection = Connection.lazy({ address });
  connections.push(connection);
  return new Client({ connection, namespace: server.namespace });
};

/** What a client without patience has heard that asked for reports where no worker runs; it takes as long as a worker may. */
let unanswered: { readonly transactions: TransactionClient; readonly told: Promise<readonly unknown[]> };

beforeAll(async () => {
  server = await TemporalDevServer.start({ uiPort: false, searchAttributes: searchAttributeList() });
  const [host = '', port] = server.address.split(':');
  door = new Door({ host, port: Number(port) });
  direct = clientAt(server.address);
  behind = clientAt(`127.0.0.1:${await door.open()}`);
  unanswered = await askWithoutWorkers(new TransactionClient({ client: direct, patienceMs: 0 }));
});
afterAll(async () => {
  // What nobody waits for any more is still being tried, within the bound of an attempt.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  for (const connection of connections) await connection.close();
  await door.close();
  await server.stop();
});
afterEach(() => door.reopen());

async function askWithoutWorkers(transactions: TransactionClient): Promise<typeof unanswered> {
  const ids = Array.from({ length: 6 }, newId);
  const handles = await Promise.all(ids.map((id) => transactions.start('transfer', { id, input })));
  const asked = handles.map((handle) => handle.reports().catch((error: unknown) => error));
  return { transactions, told: Promise.all(asked) };
}

/** A client of a Temporal that never says how a workflow is. */
function clientWithout() {
  const away = Object.assign(new Error('14 UNAVAILABLE: no connection'), { code: 14, details: '', metadata: {} });
  const described = vi.fn<() => Promise<never>>(() => Promise.reject(away));
  const client = {
    workflow: { getHandle: () => ({ describe: described }) },
    withDeadline: (_: number, make: () => unknown) => make(),
  };
  return { client: client as unknown as Client, away, described }; // Cast: all that is asked of it.
}

let told = 0;
const newId = (): string => `unavailable-${++told}`;
const input = { amount: 1 };

async function timed<T>(work: Promise<T>): Promise<{ readonly end: unknown; readonly ms: number }> {
  const began = Date.now();
  const end: unknown = await work.catch((error: unknown) => error);
  return { end, ms: Date.now() - began };
}

const runsOf = async (id: string): Promise<number> => {
  let runs = 0;
  for await (const run of direct.workflow.list({ query: `WorkflowId = '${id}'` })) if (run.workflowId === id) runs++;
  return runs;
};

it('keeps nothing of the requests that a long wait has made, and ends the one that it is at', async () => {
  const calls = new TemporalCalls(direct);
  const waiting = new AbortController();
  const warned = vi.fn<(warning: Error) => void>();
  process.on('warning', warned);
  onTestFinished(() => void process.off('warning', warned));
  const id = newId();
  const handle = await direct.workflow.start('nobodyRuns', { workflowId: id, taskQueue: 'nobody' });
  const make = async (): Promise<unknown> => {
    for (let i = 0; i < 20; i++) await handle.describe();
    expect(getEventListeners(waiting.signal, 'abort')).toHaveLength(1);
    setTimeout(() => waiting.abort(new Error('enough')), 100);
    return handle.result();
  };
  const call = calls.make({ atStake: 'unknown', id, kind: 'long', signal: waiting.signal, make });
  await expect(call).rejects.toThrow('enough');
  expect(getEventListeners(waiting.signal, 'abort')).toHaveLength(0);
  expect(warned.mock.calls).toEqual([]);
  await handle.terminate();
});

describe('a client that cannot reach Temporal', () => {
  it('says so when its patience is over, and that nobody knows what was started', async () => {
    const transactions = new TransactionClient({ client: clientAt('127.0.0.1:1'), patienceMs: 500 });
    const { end, ms } = await timed(transactions.start('transfer', { id: newId(), input }));
    expect(end).toBeInstanceOf(TemporalUnavailable);
    expect(end).toMatchObject({ changed: 'unknown' });
    expect((end as Error).message).toMatch(/^It is not known whether anything was changed: .* same id/);
    expect(ms).toBeLessThan(15_000);
  });

  it('does not ask any more once it is known, and says that nothing was changed', async () => {
    const calls = new TemporalCalls(direct, 0);
    const away = Object.assign(new Error('14 UNAVAILABLE: no connection'), { code: 14, details: '', metadata: {} });
    let made = 0;
    const call = (): Promise<unknown> =>
      calls.make({ atStake: 'unknown', id: 'x', kind: 'short', make: () => (made++, Promise.reject(away)) });
    // However slow this machine is, the time does not come at which the circuit is tried again.
    vi.useFakeTimers({ toFake: ['Date', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    for (let i = 0; i < 5; i++) await expect(call()).rejects.toMatchObject({ changed: 'unknown' });
    for (let i = 0; i < 500; i++)
      await expect(call()).rejects.toMatchObject({
        changed: 'nothing',
        message: expect.stringMatching(/^Nothing was changed/),
      });
    expect(made).toBe(5);
  });

  it.each([
    ['INVALID_ARGUMENT', 3],
    ['NOT_FOUND', 5],
    ['PERMISSION_DENIED', 7],
    ['FAILED_PRECONDITION', 9],
    ['UNAUTHENTICATED', 16],
  ])('passes on an answer such as %s at once, and does not take it for absence', async (_, code) => {
    const calls = new TemporalCalls(direct, 10_000);
    const answer = Object.assign(new Error('an answer'), { code, details: '', metadata: {} });
    let made = 0;
    for (let i = 0; i < 8; i++)
      await expect(
        calls.make({ atStake: 'nothing', id: 'x', kind: 'short', make: () => (made++, Promise.reject(answer)) }),
      ).rejects.toBe(answer);
    expect(made).toBe(8);
  });

  it('asks again when the server has noticed first that the time of a call was up', async () => {
    const calls = new TemporalCalls(direct, 10_000);
    const cancelled = Object.assign(new Error('1 CANCELLED: Call cancelled'), { code: 1, details: '', metadata: {} });
    let made = 0;
    const make = async (): Promise<string> => {
      if (++made === 1) throw cancelled;
      return 'an answer';
    };
    expect(await calls.make({ atStake: 'unknown', id: 'x', kind: 'short', make })).toBe('an answer');
    expect(made).toBe(2);
    const until = Date.now() + 200;
    const tooLate = async (): Promise<never> => {
      await new Promise((resolve) => setTimeout(resolve, 400));
      throw cancelled;
    };
    await expect(
      calls.make({ atStake: 'unknown', id: 'x', kind: 'short', until, make: tooLate }),
    ).rejects.toBeInstanceOf(WaitOver);
  });

  it('goes on waiting for one result while Temporal answers others, and gives up when it answers nobody', async () => {
    const { client, away } = clientWithout();
    const calls = new TemporalCalls(client, 3_000);
    const about = { atStake: 'unknown', id: 'x' } as const;
    let ended: unknown;
    const waiting = timed(calls.make({ ...about, kind: 'long', make: () => Promise.reject(away) })).then(
      (end) => (ended = end),
    );
    for (const until = Date.now() + 6_000; Date.now() < until; await sleep(20))
      await calls.make({ ...about, kind: 'short', make: async () => 'an answer' });
    expect(ended).toBeUndefined();
    expect(await waiting).toMatchObject({ end: expect.any(TemporalUnavailable) });
  }, 60_000);

  it('does not ask after a wait that Temporal puts off, and comes back less and less often', async () => {
    const { client, described } = clientWithout();
    const calls = new TemporalCalls(client, 0);
    const full = Object.assign(new Error('8 RESOURCE_EXHAUSTED: limit'), { code: 8, details: '', metadata: {} });
    const madeAt: number[] = [];
    vi.spyOn(Math, 'random').mockReturnValue(0.05);
    onTestFinished(() => void vi.restoreAllMocks());
    const make = async (): Promise<string> => {
      if (madeAt.push(Date.now()) < 5) throw full;
      return 'an answer';
    };
    await calls.make({ atStake: 'unknown', id: 'x', kind: 'short', make: async () => 'an answer' });
    expect(await calls.make({ atStake: 'unknown', id: 'x', kind: 'long', make })).toBe('an answer');
    const pauses = madeAt.slice(1).map((at, i) => at - (madeAt[i] ?? 0));
    expect(described).not.toHaveBeenCalled();
    // 100, 200, 400 and 800 ms.
    // No timer is early by more than a rounding, and any may be late.
    for (const [i, least] of [100, 200, 400, 800].entries()) expect(pauses[i]).toBeGreaterThan(least - 5);
  });

  it('is not taken for one by the waits that run out of the time of their callers', async () => {
    const calls = new TemporalCalls(clientWithout().client, 0);
    const about = { atStake: 'unknown', id: 'x' } as const;
    const late = Object.assign(new Error('4 DEADLINE_EXCEEDED: late'), { code: 4, details: '', metadata: {} });
    const tooLong = async (): Promise<never> => {
      await sleep(20);
      throw late;
    };
    const short = (): Promise<string> => calls.make({ ...about, kind: 'short', make: async () => 'an answer' });
    await short();
    for (let i = 0; i < 10; i++)
      await expect(
        calls.make({ ...about, kind: 'long', until: Date.now() + 10, make: tooLong }),
      ).rejects.toBeInstanceOf(WaitOver);
    expect(await short()).toBe('an answer');
  });

  it('finds out whether Temporal is back before it begins a wait, which may take days', async () => {
    const { client, away, described } = clientWithout();
    const calls = new TemporalCalls(client, 0);
    const about = { atStake: 'unknown', id: 'x' } as const;
    vi.useFakeTimers({ toFake: ['Date', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    for (let i = 0; i < 5; i++)
      await expect(calls.make({ ...about, kind: 'short', make: () => Promise.reject(away) })).rejects.toBeInstanceOf(
        TemporalUnavailable,
      );
    vi.advanceTimersByTime(10_000);
    described.mockResolvedValueOnce(undefined as never); // Cast: nobody looks at it.
    let end: (value: string) => void = () => undefined;
    const begun = vi.fn<() => Promise<string>>(() => new Promise((resolve) => (end = resolve)));
    const waiting = calls.make({ ...about, kind: 'long', make: begun });
    await expect.poll(() => begun.mock.calls.length).toBe(1);
    expect(described).toHaveBeenCalledTimes(1);
    // Others are not kept out by it, and who has heard of Temporal does not ask again.
    expect(await calls.make({ ...about, kind: 'short', make: async () => 'an answer' })).toBe('an answer');
    expect(await calls.make({ ...about, kind: 'long', make: async () => 'an end' })).toBe('an end');
    expect(described).toHaveBeenCalledTimes(1);
    end('the end');
    expect(await waiting).toBe('the end');
  });

  it.each([-1, 0.5, NaN, Infinity])('is not made with a patience of %s', (patienceMs) => {
    expect(() => new TransactionClient({ client: direct, patienceMs })).toThrow(InvalidPatience);
  });
});

describe('a Temporal that comes back', () => {
  it('has what was started meanwhile, once', async () => {
    const transactions = new TransactionClient({ client: behind });
    const id = newId();
    door.shut = true;
    const starting = transactions.start('transfer', { id, input });
    setTimeout(() => (door.shut = false), 1_500);
    expect(await (await starting).status()).toBe('RUNNING');
    expect(await direct.workflow.getHandle(id).describe()).toMatchObject({ status: { name: 'RUNNING' } });
  });

  it('had heard a start whose answer was lost: it is found, and not started twice', async () => {
    const transactions = new TransactionClient({ client: behind });
    await transactions.start('transfer', { id: newId(), input });
    const id = newId();
    door.letNothingOut();
    const starting = transactions.start('transfer', { id, input });
    await expect
      .poll(() =>
        direct.workflow
          .getHandle(id)
          .describe()
          .then(
            () => true,
            () => false,
          ),
      )
      .toBe(true);
    door.reopen();
    await starting;
    await expect.poll(() => runsOf(id)).toBe(1);
    const { events } = await direct.workflow.getHandle(id).fetchHistory();
    expect(events?.filter((event) => event.workflowExecutionStartedEventAttributes)).toHaveLength(1);
  });

  it('is awaited by those who wait for a result', async () => {
    const transactions = new TransactionClient({ client: behind });
    const id = newId();
    const waiting = timed((await transactions.start('transfer', { id, input })).result());
    await new Promise((resolve) => setTimeout(resolve, 300));
    door.shut = true;
    await direct.workflow.getHandle(id).terminate();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    door.shut = false;
    expect((await waiting).end).toBeInstanceOf(TransactionInterrupted);
  });

  it('finds again whom it had lost for longer than their patience', async () => {
    const transactions = new TransactionClient({ client: behind, patienceMs: 0 });
    door.shut = true;
    expect((await timed(transactions.start('transfer', { id: newId(), input }))).end).toBeInstanceOf(
      TemporalUnavailable,
    );
    door.shut = false;
    const id = newId();
    await expect
      .poll(
        () =>
          transactions.start('transfer', { id, input }).then(
            () => 'started',
            () => 'not yet',
          ),
        { timeout: 25_000 },
      )
      .toBe('started');
  });
});

describe('a caller who asks for reports where no worker runs', () => {
  it('hears that, and of which task queue, and Temporal is not taken to be away', async () => {
    const { transactions, told } = unanswered;
    for (const error of await told)
      expect(error).toMatchObject({
        name: 'NoWorkerAnswers',
        taskQueue: 'transactions',
        message: expect.stringMatching(
          /^It is not known how transaction .* stands: no worker of task queue "transactions" answers within 10000 ms, .* \(runCoordinator\)/,
        ),
      });
    const handle = await transactions.start('transfer', { id: newId(), input });
    expect(await handle.status()).toBe('RUNNING');
  }, 30_000);

  it('hears the same where Temporal knows by itself that none has asked for work lately', async () => {
    const lately = {
      code: 9,
      details: 'no poller seen for task queue recently, worker may be down',
      metadata: new Map(),
    };
    const handle = new TransactionHandle(direct, newId());
    await direct.workflow.start('nobodyRuns', { workflowId: handle.id, taskQueue: 'nobody' });
    vi.spyOn(direct.workflowService, 'queryWorkflow').mockRejectedValueOnce(Object.assign(new Error('9'), lately));
    onTestFinished(() => void vi.restoreAllMocks());
    await expect(handle.reports()).rejects.toMatchObject({ name: 'NoWorkerAnswers', taskQueue: 'nobody' });
  });

  it('hears that there is no such transaction, or that Temporal is away', async () => {
    await expect(new TransactionClient({ client: direct }).handle(newId()).reports()).rejects.toBeInstanceOf(
      TransactionNotFound,
    );
    const transactions = new TransactionClient({ client: clientAt('127.0.0.1:1'), patienceMs: 500 });
    await expect(transactions.handle(newId()).reports()).rejects.toBeInstanceOf(TemporalUnavailable);
  });
});

describe('a caller whose time is up', () => {
  it('hears that the transaction goes on, and finds it again', async () => {
    const transactions = new TransactionClient({ client: direct });
    const id = newId();
    const { end, ms } = await timed(transactions.execute('transfer', { id, input, timeoutMs: 3_000 }));
    expect(end).toBeInstanceOf(TransactionTimeout);
    expect(end).toMatchObject({ id, timeoutMs: 3_000, message: expect.stringContaining('goes on') });
    expect(ms).toBeLessThan(15_000);
    expect(await transactions.handle(id).status()).toBe('RUNNING');
    await direct.workflow.getHandle(id).terminate();
    await expect(transactions.execute('transfer', { id, input, timeoutMs: 5_000 })).rejects.toBeInstanceOf(
      TransactionInterrupted,
    );
  });

  it('hears the same from a Temporal that accepts everything and answers nothing', async () => {
    door.letNothingOut();
    const transactions = new TransactionClient({ client: behind });
    const { end, ms } = await timed(transactions.execute('transfer', { id: newId(), input, timeoutMs: 800 }));
    expect(end).toBeInstanceOf(TransactionTimeout);
    expect(ms).toBeLessThan(15_000);
  });

  it('may end the wait by a signal, which leaves the transaction as it is', async () => {
    const transactions = new TransactionClient({ client: direct });
    const id = newId();
    const why = new Error('the page was left');
    const left = new AbortController();
    const waiting = timed(transactions.execute('transfer', { id, input, signal: left.signal }));
    await expect
      .poll(() =>
        transactions
          .handle(id)
          .status()
          .catch(() => 'not yet'),
      )
      .toBe('RUNNING');
    left.abort(why);
    expect((await waiting).end).toBe(why);
    expect(await transactions.handle(id).status()).toBe('RUNNING');
  });

  it('cannot have no time at all', async () => {
    const transactions = new TransactionClient({ client: direct });
    await expect(transactions.execute('transfer', { id: newId(), input, timeoutMs: NaN })).rejects.toBeInstanceOf(
      InvalidPatience,
    );
  });
});
