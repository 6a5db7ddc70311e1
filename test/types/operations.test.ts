/** What the compiler knows of an operation where it is declared. The build compiles this file; none of it is ever run. */
import { describe, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { defineParticipant, operation } from 'temporal-txn/participant';
import { participant, saga } from 'temporal-txn/workflow';

const input = z.object({ account: z.string() });

describe('an operation', () => {
  it('is undone with its input and the result of its execute', () => {
    operation({
      input,
      execute: async (_tx, { account }) => ({ hold: account.length }),
      compensate: async (_tx, given, result) => {
        expectTypeOf(given).toEqualTypeOf<{ account: string }>();
        expectTypeOf(result).toEqualTypeOf<{ hold: number }>();
        // @ts-expect-error The result has no such field.
        void result.release;
      },
    });
  });

  it('is compensatable by having a compensate, and otherwise final', () => {
    const _declare = () =>
      defineParticipant('shop', {
        hold: operation({ input, execute: async () => 1, compensate: async () => undefined }),
        sell: operation({ input, execute: async () => 'sold' }),
      });
    const shop = participant<ReturnType<typeof _declare>>('shop');
    void (() =>
      saga(async (s) => {
        expectTypeOf(await s.step(shop.hold, { account: 'alice' })).toEqualTypeOf<number>();
        // @ts-expect-error It cannot be undone.
        await s.step(shop.sell, { account: 'alice' });
        return s.pivot(shop.sell, { account: 'alice' });
      }));
  });
});
