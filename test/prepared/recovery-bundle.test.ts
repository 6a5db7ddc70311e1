/** The workflows of a participant, bundled for all workers of a process. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type * as Recovery from '../../src/worker/recovery';
import { packageRoot, quiet } from '../saga-more/environment';

describe('the bundle of the workflows of a participant', () => {
  it('is made anew for who comes after a failure', async () => {
    quiet();
    // As it was built: the workflows are looked for beside it. Cast: an import by a path is of no type.
    const built: unknown = await import(join(packageRoot, 'dist/src/worker/recovery.js'));
    const { recoveryBundle } = built as typeof Recovery;
    let attempts = 0;
    const plugin = {
      name: 'has no space',
      configureBundler: () => {
        throw new Error(`no space, ${++attempts}`);
      },
    };
    const bundle = () => recoveryBundle({}, [plugin]);
    // Who comes at the same time waits for the same.
    const both = await Promise.allSettled([bundle(), bundle()]);
    expect(both.map((one) => one.status === 'rejected' && String(one.reason))).toEqual(
      Array(2).fill('Error: no space, 1'),
    );
    await expect(bundle()).rejects.toThrow('no space, 2');
  });
});
