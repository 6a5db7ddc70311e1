/** What is done about a branch in doubt, for everything that can be known of it. */
import { describe, expect, it } from 'vitest';
import { judge } from '../../src/protocol';
import type { InDoubt, Verdict } from '../../src/protocol';

const PATIENCE = { graceMs: 30_000, hardLimitMs: 3_600_000 };
/** Long prepared, and nobody is there to decide. */
const ABANDONED: InDoubt = {
  ageMs: 60_000,
  register: 'none',
  coordinator: 'gone',
  prepared: true,
  owned: true,
  preCommitted: false,
};

const LEAVE = { kind: 'leave' } as const;
const HOLD = { kind: 'hold' } as const;
const apply = (decision: 'commit' | 'abort') => ({ kind: 'apply', decision }) as const;
const propose = (decision: 'commit' | 'abort') => ({ kind: 'decide', propose: decision }) as const;

type Case = readonly [found: string, differs: Partial<InDoubt>, act: Verdict['act'], because: string];

const CASES: readonly Case[] = [
  ['decided to commit', { register: 'commit' }, apply('commit'), 'The register says commit'],
  ['decided to abort', { register: 'abort' }, apply('abort'), 'The register says abort'],
  ['decided, its coordinator running', { register: 'commit', coordinator: 'running' }, apply('commit'), 'register'],
  ['decided, nothing prepared', { register: 'commit', prepared: false }, apply('commit'), 'register'],
  ['decided against a pre-commit', { register: 'abort', preCommitted: true }, apply('abort'), 'register'],
  ['decided, and young', { register: 'commit', ageMs: 29_999 }, LEAVE, 'is most likely finishing it'],
  ['decided, exactly as old as the grace period', { register: 'abort', ageMs: 30_000 }, apply('abort'), 'register'],

  ['undecided, its coordinator gone', {}, propose('abort'), 'its coordinator is not running'],
  ['undecided, nothing prepared, its coordinator gone', { prepared: false }, propose('abort'), 'is not running'],
  ['undecided, pre-committed', { preCommitted: true }, propose('commit'), 'its coordinator is not running'],
  ['undecided, and young', { ageMs: 29_999 }, LEAVE, 'most likely collecting votes'],
  ['undecided, exactly as old as the grace period', { ageMs: 30_000 }, propose('abort'), 'is not running'],
  ['undecided, its coordinator running', { coordinator: 'running' }, LEAVE, 'Its coordinator is running'],
  ['undecided, and Temporal is away', { coordinator: 'unknown' }, LEAVE, 'not known whether its coordinator'],

  ['running, just below the limit', { coordinator: 'running', ageMs: 3_599_999 }, LEAVE, 'coordinator is running'],
  ['running beyond the limit', { coordinator: 'running', ageMs: 3_600_000 }, propose('abort'), 'hard limit'],
  ['unknown beyond the limit', { coordinator: 'unknown', ageMs: 3_600_000 }, propose('abort'), 'hard limit'],
  [
    'pre-committed beyond the limit',
    { coordinator: 'running', ageMs: 3_600_000, preCommitted: true },
    propose('commit'),
    'hard limit',
  ],
  [
    'nothing prepared beyond the limit: nobody waits for it',
    { coordinator: 'running', ageMs: 3_600_000, prepared: false },
    LEAVE,
    'coordinator is running',
  ],

  ['the register away', { register: 'unreadable' }, LEAVE, 'The register does not answer'],
  ['the register away beyond the limit', { register: 'unreadable', ageMs: 9e9 }, LEAVE, 'register does not answer'],
  ['the register away, pre-committed', { register: 'unreadable', preCommitted: true }, LEAVE, 'does not answer'],

  ['of another role', { owned: false }, HOLD, 'belongs to a database role'],
  ['of another role, decided', { owned: false, register: 'commit' }, HOLD, 'belongs to a database role'],
  ['of another role, young', { owned: false, ageMs: 0 }, HOLD, 'belongs to a database role'],
];

describe('a branch in doubt', () => {
  it.each(CASES)('%s', (_, differs, act, because) => {
    const verdict = judge({ ...ABANDONED, ...differs }, PATIENCE);
    expect(verdict.act).toEqual(act);
    expect(verdict.because).toContain(because);
  });
});

describe('a clock that was set back (I6)', () => {
  it.each(['none', 'commit', 'abort'] as const)('only delays what is done: the register says %s', (register) => {
    const found = { ...ABANDONED, register, ageMs: -86_400_000 };
    expect(judge(found, PATIENCE).act).toEqual(LEAVE);
  });
});

describe('a clock that was set forward (I6)', () => {
  it.each(['commit', 'abort'] as const)('changes nothing of what was decided: %s', (register) => {
    const found = { ...ABANDONED, register, coordinator: 'running', ageMs: 86_400_000 } as const;
    expect(judge(found, PATIENCE).act).toEqual(apply(register));
  });

  it('gives up a coordinator that is running only by a proposal, which the register may answer with a commit', () => {
    expect(judge({ ...ABANDONED, coordinator: 'running', ageMs: 86_400_000 }, PATIENCE).act).toEqual(propose('abort'));
  });
});
