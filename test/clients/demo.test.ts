/** What the demo says when it cannot start, and why it says a transaction did not commit. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { TransactionCompensated } from 'temporal-txn/client';
import type { SagaReport, TransactionHandle, TransactionReport } from 'temporal-txn/client';
import { describe, expect, it } from 'vitest';
import { outcomeOf } from '../../demo/staging';
import { lockDirectory } from '../../src/testing';

const DEMO = resolve(__dirname, '../../dist/demo/main.js');

describe('a second demo on one directory', () => {
  it.each([[], ['--fresh']])('changes nothing, and says how to give it another %s', async (...fresh) => {
    const directory = mkdtempSync(join(tmpdir(), 'txn-demo-'));
    writeFileSync(join(directory, 'kept'), '');
    const lock = await lockDirectory(directory, 'stack');
    try {
      const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((done) =>
        execFile(
          process.execPath,
          [DEMO, '--once', '--directory', directory, ...fresh],
          { timeout: 20_000 },
          (error, _, text) => done({ code: error?.code, stderr: text }),
        ),
      );
      expect(stderr).toContain(`Nothing was changed: ${directory} is in use by process ${process.pid}`);
      expect(stderr).toContain('npm run demo -- --directory <path>\n');
      expect(code).toBe(2);
      expect(existsSync(join(directory, 'kept'))).toBe(true);
    } finally {
      lock.release();
      rmSync(directory, { recursive: true });
    }
  });
});

describe('why a scene ended as it did', () => {
  const whyOf = async (saga: SagaReport, ...inside: TransactionReport[]): Promise<string> => {
    const handle = {
      result: () => Promise.reject(new TransactionCompensated(saga.id, 'It did not commit.', saga)),
      reports: () => Promise.resolve([saga, ...inside]),
    };
    // Cast: no more of a handle is asked.
    return (await outcomeOf(handle as unknown as TransactionHandle)).why;
  };
  // Casts: what a workflow would report.
  const saga = (cause: object, fate: object): SagaReport =>
    ({ id: 'sale', protocol: 'saga', outcome: 'compensated', cause, steps: [{ branch: 'step', fate }] }) as never;

  it('is the refusal, and where a step was a transaction that aborted, what aborted that one', async () => {
    const refused = (code: string) =>
      saga({ kind: 'refused', refusal: { code }, branch: 'step' }, { kind: 'not-done' });
    expect(await whyOf(refused('out-of-stock'))).toBe('out-of-stock');
    const booking = { protocol: 'try-confirm-cancel', outcome: 'aborted', cause: { reason: { code: 'sold-out' } } };
    expect(await whyOf(refused('aborted'), booking as never)).toBe('sold-out');
  });

  it('is that nobody knows, where the outcome of the step is unknown', async () => {
    expect(await whyOf(saga({ kind: 'failed', branch: 'step' }, { kind: 'unknown' }))).toBe('unknown outcome');
    expect(await whyOf(saga({ kind: 'cancelled' }, { kind: 'unknown' }))).toBe('cancelled');
  });
});
