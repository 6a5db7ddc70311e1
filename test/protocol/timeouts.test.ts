/** The order of the timeouts: each one ends before the one that waits for it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkLocalTimeouts, InvalidTimeouts } from '../../src/protocol';

const DEFAULTS = { lockMs: 2_000, statementMs: 5_000, idleInTransactionMs: 8_000, startToCloseMs: 10_000 };
const DAY = 86_400_000;

describe('checkLocalTimeouts', () => {
  it('has defaults, and takes what is given', () => {
    expect(checkLocalTimeouts()).toEqual(DEFAULTS);
    expect(checkLocalTimeouts({ lockMs: 1 })).toEqual({ ...DEFAULTS, lockMs: 1 });
    expect(checkLocalTimeouts({ startToCloseMs: DAY })).toEqual({ ...DEFAULTS, startToCloseMs: DAY });
  });

  it.each([
    [{ lockMs: 5_000 }, 'lockMs', 'statementMs'],
    [{ lockMs: 6_000 }, 'lockMs', 'statementMs'],
    [{ statementMs: 8_000 }, 'statementMs', 'idleInTransactionMs'],
    [{ statementMs: 2_000 }, 'lockMs', 'statementMs'],
    [{ idleInTransactionMs: 10_000 }, 'idleInTransactionMs', 'startToCloseMs'],
    [{ startToCloseMs: 8_000 }, 'idleInTransactionMs', 'startToCloseMs'],
    [{ startToCloseMs: DAY + 1 }, 'startToCloseMs', '24 hours'],
    [{ lockMs: 0 }, 'lockMs', '24 hours'],
    [{ lockMs: -1 }, 'lockMs', '24 hours'],
    [{ lockMs: 1.5 }, 'lockMs', '24 hours'],
    [{ lockMs: NaN }, 'lockMs', '24 hours'],
    [{ startToCloseMs: Infinity }, 'startToCloseMs', '24 hours'],
    // Of untyped callers: what is not a number would end up in SQL.
    [{ lockMs: '1; drop table mark' as unknown as number }, 'lockMs', '24 hours'],
    [{ lockMs: '1000' as unknown as number }, 'lockMs', '24 hours'],
  ])('refuses %o', (given, smaller, larger) => {
    expect(() => checkLocalTimeouts(given)).toThrow(
      expect.objectContaining({ name: 'InvalidTimeouts', smaller, larger }) as Error,
    );
  });

  it('accepts nothing but ascending whole milliseconds', () => {
    const some = fc.integer({ min: -2, max: 12 });
    fc.assert(
      fc.property(some, some, some, some, (lockMs, statementMs, idleInTransactionMs, startToCloseMs) => {
        const given = { lockMs, statementMs, idleInTransactionMs, startToCloseMs };
        const right =
          0 < lockMs &&
          lockMs < statementMs &&
          statementMs < idleInTransactionMs &&
          idleInTransactionMs < startToCloseMs;
        if (right) expect(checkLocalTimeouts(given)).toEqual(given);
        else expect(() => checkLocalTimeouts(given)).toThrow(InvalidTimeouts);
      }),
    );
  });
});
