/** The circuit breaker by a standing clock: when it opens, what it answers while it is open, and who tries it. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RefusalError } from '../../src/participant';
import { Circuit, circuit, CircuitOpen, InvalidCircuit } from '../../src/resilience';
import type { CircuitOptions } from '../../src/resilience';

const down = async (): Promise<never> => {
  throw new Error('connection refused');
};
const up = async (): Promise<string> => 'answer';

/** Without chance. */
const plain = (options: CircuitOptions = {}): Circuit => new Circuit('gateway', { jitter: 0, ...options }, () => 0);

async function fail(broken: Circuit, times: number, tenant?: string): Promise<void> {
  for (let i = 0; i < times; i++)
    await expect(broken.run(down, tenant === undefined ? {} : { tenant })).rejects.toThrow();
}

const opened = async (options: CircuitOptions = {}): Promise<Circuit> => {
  const broken = plain(options);
  await fail(broken, 5);
  return broken;
};

const refusal = (circuitInUse: Circuit): Promise<unknown> =>
  circuitInUse.run(up).then(
    () => 'made',
    (error: unknown) => error,
  );

const listen = (to: Circuit): { readonly heard: string[]; readonly stop: () => void } => {
  const heard: string[] = [];
  return { heard, stop: to.onChange((state) => heard.push(state)) };
};

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

describe('a circuit that opens after failures in a row', () => {
  it.each([-3_600_000, 3_600_000])('is tried after its pause, though somebody sets the clock by %i ms', async (by) => {
    const broken = await opened({ halfOpenAfterMs: 5_000 });
    vi.setSystemTime(Date.now() + by);
    expect(await refusal(broken)).toMatchObject({ state: 'open', retryAfterMs: 5_000 });
    vi.advanceTimersByTime(5_000);
    expect(await broken.run(up)).toBe('answer');
  });

  it('passes calls through until then, with their errors', async () => {
    const broken = plain();
    await fail(broken, 4);
    expect(await broken.run(up)).toBe('answer');
    await fail(broken, 4);
    expect(broken.report()).toMatchObject({ state: 'closed', cutOff: 0 });
  });

  it('makes no call while it is open, says that nothing was attempted, and when to come back', async () => {
    const broken = await opened();
    const call = vi.fn(up);
    vi.advanceTimersByTime(2_000);
    const error: unknown = await broken.run(call).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CircuitOpen);
    expect(error).toMatchObject({ circuit: 'gateway', state: 'open', retryAfterMs: 3_000 });
    expect((error as Error).message).toMatch(/^Nothing was attempted: the circuit gateway is open/);
    expect(call).not.toHaveBeenCalled();
    expect(broken.report()).toEqual({
      circuit: 'gateway',
      state: 'open',
      cutOff: 1,
      since: 1_000_000,
      halfOpenAt: 1_005_000,
    });
  });

  it('spreads those who come back over a tenth of the pause', async () => {
    const broken = new Circuit('gateway', { jitter: 0 }, () => 0.5);
    await fail(broken, 5);
    expect(await refusal(broken)).toMatchObject({ retryAfterMs: 5_250 });
  });

  it('counts no business refusal, no call that was not made, and nothing that it is told not to', async () => {
    const inner = await opened();
    const outer = plain({ isFailure: (error) => !(error instanceof RangeError) });
    const refuse = async (): Promise<never> => {
      throw new RefusalError({ code: 'card-declined', message: 'No.' });
    };
    const mistake = async (): Promise<never> => {
      throw new RangeError('a bug');
    };
    for (let i = 0; i < 20; i++) {
      await expect(outer.run(refuse)).rejects.toBeInstanceOf(RefusalError);
      await expect(outer.run(mistake)).rejects.toBeInstanceOf(RangeError);
      await expect(outer.run(() => inner.run(up))).rejects.toBeInstanceOf(CircuitOpen);
    }
    expect(outer.report().state).toBe('closed');
  });
});

describe('a circuit that may be tried', () => {
  it('is tried by one call, for which nobody else waits, and closes when that succeeds', async () => {
    const broken = await opened();
    vi.advanceTimersByTime(5_000);
    let answer: (value: string) => void = () => undefined;
    const trial = broken.run(() => new Promise<string>((resolve) => (answer = resolve)));
    await vi.advanceTimersByTimeAsync(0);
    expect(broken.report().state).toBe('half-open');
    expect(await refusal(broken)).toMatchObject({ state: 'half-open', retryAfterMs: 1_000 });
    answer('back');
    expect(await trial).toBe('back');
    expect(await refusal(broken)).toBe('made');
  });

  it('closes at a business refusal too: the callee is there', async () => {
    const broken = await opened();
    vi.advanceTimersByTime(5_000);
    const no = new RefusalError({ code: 'card-declined', message: 'No.' });
    await expect(broken.run(() => Promise.reject(no))).rejects.toBe(no);
    expect(broken.report().state).toBe('closed');
    // And starts anew.
    await fail(broken, 4);
    expect(broken.report().state).toBe('closed');
  });

  it('opens again when the call fails, twice as long each time, up to the longest', async () => {
    const broken = await opened({ halfOpenAfterMs: 5_000, longestOpenMs: 15_000 });
    for (const pause of [5_000, 10_000, 15_000, 15_000]) {
      expect(broken.report().halfOpenAt).toBe(Date.now() + pause);
      vi.advanceTimersByTime(pause - 1);
      expect(await refusal(broken)).toBeInstanceOf(CircuitOpen);
      vi.advanceTimersByTime(1);
      await fail(broken, 1);
    }
    vi.advanceTimersByTime(15_000);
    expect(await broken.run(up)).toBe('answer');
    await fail(broken, 5);
    expect(broken.report().halfOpenAt, 'after it was closed').toBe(Date.now() + 5_000);
  });

  it('lengthens each pause by chance', async () => {
    const broken = new Circuit('gateway', { jitter: 0.2 }, () => 0.5);
    await fail(broken, 5);
    expect(broken.report().halfOpenAt).toBe(Date.now() + 5_500);
  });

  it.each([
    ['a failure', 'does not open it again', down],
    ['a success', 'does not close it', up],
  ])('and %s of a call that was begun before it changed %s', async (_, __, end) => {
    const broken = plain();
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const late = broken.run(() => gate.then(end)).catch(() => 'failed');
    await fail(broken, 5);
    vi.advanceTimersByTime(5_000);
    let answer: () => void = () => undefined;
    const trial = broken.run(() => new Promise<void>((resolve) => (answer = resolve)));
    await vi.advanceTimersByTimeAsync(0);
    go();
    expect(await late).toBe(end === up ? 'answer' : 'failed');
    expect(broken.report().state).toBe('half-open');
    answer();
    await trial;
    expect(broken.report().state).toBe('closed');
  });
});

describe('a circuit that opens by the share of failures', () => {
  const sampling = { trip: { threshold: 0.5, windowMs: 10_000, minimumPerSecond: 0.5 } } as const;

  it('opens when more than that share of the calls of the window fail', async () => {
    const broken = plain(sampling);
    for (let i = 0; i < 30 && broken.report().state === 'closed'; i++) {
      await refusal(broken);
      await fail(broken, 2);
      vi.advanceTimersByTime(500);
    }
    expect(broken.report().state).toBe('open');
  });

  it('stays closed below it, and while there are too few calls', async () => {
    const busy = plain(sampling);
    for (let i = 0; i < 60; i++) {
      await fail(busy, 1);
      for (let j = 0; j < 3; j++) await busy.run(up);
      vi.advanceTimersByTime(250);
    }
    expect(busy.report().state).toBe('closed');
    const quiet = plain(sampling);
    for (let i = 0; i < 5; i++) {
      await fail(quiet, 1);
      vi.advanceTimersByTime(9_000);
    }
    expect(quiet.report().state).toBe('closed');
  });
});

describe('tenants', () => {
  it('are cut off one by one', async () => {
    const broken = plain();
    await fail(broken, 5, 'acme');
    await expect(broken.run(up, { tenant: 'acme' })).rejects.toBeInstanceOf(CircuitOpen);
    expect(await broken.run(up, { tenant: 'umbrella' })).toBe('answer');
    expect(broken.report()).toMatchObject({ state: 'open', cutOff: 1 });
  });

  it('are forgotten when there are too many, the one that was not called for longest first', async () => {
    const broken = plain();
    await fail(broken, 5, 'first');
    await fail(broken, 5, 'second');
    await expect(broken.run(up, { tenant: 'first' })).rejects.toBeInstanceOf(CircuitOpen);
    for (let i = 0; i < 999; i++) await broken.run(up, { tenant: `t${i}` });
    await expect(broken.run(up, { tenant: 'first' })).rejects.toBeInstanceOf(CircuitOpen);
    expect(await broken.run(up, { tenant: 'second' })).toBe('answer');
  });
});

describe('an operator', () => {
  it('isolates it for everybody, whatever time passes, and closes it', async () => {
    const healthy = plain();
    await healthy.run(up, { tenant: 'acme' });
    healthy.isolate();
    healthy.isolate();
    vi.advanceTimersByTime(1_000_000);
    for (const tenant of ['acme', 'new'])
      await expect(healthy.run(up, { tenant })).rejects.toMatchObject({ state: 'isolated', retryAfterMs: 5_000 });
    healthy.close();
    expect(await healthy.run(up, { tenant: 'acme' })).toBe('answer');
    expect(healthy.report()).toMatchObject({ state: 'closed', cutOff: 0 });
  });

  it('closes one that has opened by itself', async () => {
    const broken = await opened();
    broken.close();
    expect(await refusal(broken)).toBe('made');
  });

  it('is told of every change, and of none after the listener is taken away', async () => {
    const broken = plain();
    const { heard, stop } = listen(broken);
    await fail(broken, 5);
    vi.advanceTimersByTime(5_000);
    await broken.run(up);
    stop();
    broken.isolate();
    expect(heard).toEqual(['open', 'half-open', 'closed']);
  });

  it('is told that its pause is over, though nobody calls it, each time', async () => {
    const broken = plain();
    const { heard } = listen(broken);
    await fail(broken, 5);
    vi.advanceTimersByTime(4_999);
    expect(heard).toEqual(['open']);
    vi.advanceTimersByTime(1);
    expect(heard).toEqual(['open', 'half-open']);
    expect(broken.report()).toEqual({ circuit: 'gateway', state: 'half-open', cutOff: 1, since: 1_005_000 });
    await fail(broken, 1);
    vi.advanceTimersByTime(10_000);
    expect(heard).toEqual(['open', 'half-open', 'open', 'half-open']);
  });

  it('is told that one which was cut off is forgotten, and of none that was not', async () => {
    const broken = plain();
    const { heard } = listen(broken);
    await broken.run(up, { tenant: 'well' });
    await fail(broken, 5, 'acme');
    for (let i = 0; i < 1_000; i++) await broken.run(up, { tenant: `t${i}` });
    expect(heard).toEqual(['open', 'closed']);
    expect(broken.report()).toMatchObject({ state: 'closed', cutOff: 0 });
    vi.advanceTimersByTime(1_000_000);
    expect(heard, 'nothing of what is forgotten').toEqual(['open', 'closed']);
    broken.isolate();
    heard.length = 0;
    for (let i = 0; i < 1_001; i++) await broken.run(up, { tenant: `u${i}` }).catch(() => undefined);
    expect(heard, 'they are as cut off as those before them').toEqual([]);
  });

  it.each([
    ['isolated', (broken: Circuit) => broken.isolate(), 'isolated'],
    ['closed', (broken: Circuit) => broken.close(), 'closed'],
  ])('is not told of the end of a pause in which it was %s', async (_, rule, state) => {
    const broken = plain();
    const { heard } = listen(broken);
    await fail(broken, 5);
    rule(broken);
    vi.advanceTimersByTime(1_000_000);
    expect(new Set(heard)).toEqual(new Set(['open', state]));
    expect(broken.report()).toMatchObject({ state });
  });
});

describe('a circuit that is described wrongly is refused when it is made', () => {
  it.each<[string, string, CircuitOptions]>([
    ['name', '', {}],
    ['name', 'Card Gateway', {}],
    ['name', 'x'.repeat(64), {}],
    ['trip.consecutive', 'c', { trip: { consecutive: 0 } }],
    ['trip.consecutive', 'c', { trip: { consecutive: 1.5 } }],
    ['trip.threshold', 'c', { trip: { threshold: 1, windowMs: 1_000 } }],
    ['trip.threshold', 'c', { trip: { threshold: NaN, windowMs: 1_000 } }],
    ['trip.windowMs', 'c', { trip: { threshold: 0.5, windowMs: 10 } }],
    ['trip.minimumPerSecond', 'c', { trip: { threshold: 0.5, windowMs: 1_000, minimumPerSecond: -1 } }],
    ['halfOpenAfterMs', 'c', { halfOpenAfterMs: 0 }],
    ['halfOpenAfterMs', 'c', { halfOpenAfterMs: Infinity }],
    ['longestOpenMs', 'c', { halfOpenAfterMs: 2_000, longestOpenMs: 1_000 }],
    ['jitter', 'c', { jitter: 1.1 }],
  ])('%s of %s', (field, name, options) => {
    const make = (): Circuit => circuit(name, options);
    expect(make).toThrow(InvalidCircuit);
    expect(make).toThrow(`Nothing was started: ${field} of the circuit`);
    expect(make).toThrow(/Use /);
  });
});
