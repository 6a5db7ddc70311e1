/** What the Web UI shows, whatever the messages of failures hold. */
import { describe, expect, it } from 'vitest';
import { parseBranchId, parseTransactionId } from '../../src/protocol';
import type { BranchReport, StepReport } from '../../src/protocol';
import { detailsOf } from '../../src/workflow/details';
import { messageOf } from '../../src/workflow/failures';
import { table } from '../../src/workflow/markdown';

const PLACE = { workflowId: 'w-1', namespace: 'default' };

const heldBy = (cause: string): string => {
  const step: StepReport = {
    branch: parseBranchId('bank.debit'),
    role: 'compensatable',
    participant: 'bank',
    operation: 'debit',
    fate: { kind: 'done', answer: 'applied' },
    compensation: { kind: 'held', cause },
  };
  const id = parseTransactionId('t-1');
  return detailsOf(
    [{ id, protocol: 'saga', outcome: 'held', steps: [step], cause: { kind: 'failed', message: cause } }],
    PLACE,
  );
};

const rowOf = (details: string): string | undefined =>
  details.split('\n').find((line) => line.startsWith('| bank.debit'));

describe('the details', () => {
  it('name the command that settles a held step', () => {
    expect(heldBy('down')).toContain('--name retryStep');
    expect(heldBy('down')).toContain('--workflow-id w-1');
    expect(heldBy('down')).toContain('{"step":"bank.debit",');
  });

  it('give the data for the form of the Web UI as one line that can be copied', () => {
    expect(heldBy('down').split('\n')).toContain('{"step":"bank.debit","reason":"…","by":"…"}');
  });

  it('name a further attempt by the id that it has in the databases, where somebody is to look there', () => {
    const branch: BranchReport = {
      branch: parseBranchId('south.credit'),
      participant: 'south',
      operation: 'credit',
      vote: 'commit',
      finish: { kind: 'held', cause: 'Nobody knows it.' },
    };
    const id = parseTransactionId('t-1');
    const told = (attempts: number): readonly string[] =>
      detailsOf(
        [{ id, protocol: 'two-phase-commit', outcome: 'held', decision: 'commit', branches: [branch], attempts }],
        PLACE,
      ).split('\n');
    expect(told(1)).toContain('temporal-txn resolve t-1');
    expect(told(2)).toContain('temporal-txn resolve t-1+2');
  });

  it.each([
    ['a bar', 'a|b', 'a\\|b'],
    ['a line break', 'a\n\n# b', 'a # b'],
    ['markup', '<img src=x> [a](b) `c` *d*', '\\<img src=x\\> \\[a\\](b) \\`c\\` \\*d\\*'],
  ])('keep their table together when a message holds %s', (_, cause, shown) => {
    expect(rowOf(heldBy(cause))).toContain(`HELD: ${shown}`);
    expect(heldBy(cause)).toContain(`Cause: failed: ${shown}`);
  });

  it('stay short when a message is a whole document', () => {
    expect(heldBy('x'.repeat(100_000)).length).toBeLessThan(2_000);
  });
});

describe('a table of the Web UI', () => {
  const NBSP = '\u00a0';
  const [head, rule, ...rows] = table(
    ['step', 'outcome', 'compensation'],
    [
      ['north-bank.debit', 'done', '–'],
      ['audit.record', 'running', '–'],
    ],
  );

  it('has left-aligned columns, with space between them, which the page does not make', () => {
    expect(rule).toBe('| :-- | --- | :-- | --- | :-- |');
    for (const line of [head, ...rows])
      expect(line?.split(' | ').filter((text) => text === NBSP + NBSP)).toHaveLength(2);
  });

  it('is headed so widely that the longest name needs no break', () => {
    expect(head).toContain(`step${NBSP.repeat(1.5 * 'north-bank.debit'.length - 'step'.length)}`);
  });

  it('leaves room beside a name that is as long as names may be', () => {
    expect(table(['step', 'outcome'], [['x'.repeat(200), 'done']])[0]?.length).toBeLessThan(90);
  });
});

describe('the message of a failure in a report', () => {
  it('is cut to 500 characters: every step carries one', () => {
    expect(messageOf(new Error('x'.repeat(100_000)))).toHaveLength(501);
    expect(messageOf(new Error('short'))).toBe('short');
  });
});
