/** What a person is told first, for every state in which a transaction can be: whether somebody is needed, and what to type. */
import { describe, expect, it } from 'vitest';
import { explain } from '../../src/cli/transaction/explain';
import { ExitCode } from '../../src/cli/exit-code';
import { idsOf } from '../../src/cli/transaction/databases';
import type { DatabaseLook, DecisionRow } from '../../src/cli/transaction/databases';
import { disagreementsOf } from '../../src/cli/transaction/disagreements';
import { tellStanding } from '../../src/cli/transaction/tell';
import { verdictOf } from '../../src/cli/transaction/verdict';
import type { Found } from '../../src/cli/transaction/verdict-words';
import { keyOf } from '../../src/participant';
import { parseTransactionId } from '../../src/protocol';
import type { BranchReport, SagaReport, StepReport, TransactionReport } from '../../src/protocol';
import {
  branch,
  commit,
  databases,
  decided,
  found,
  HELD,
  id,
  reserved,
  saga,
  STATES,
  step,
  workflow,
} from './verdict-fixture';
import type { Case } from './verdict-fixture';

const SKIPPED = { kind: 'skipped', by: 'ann', reason: 'told by phone', evidence: 'rolled back by hand' } as const;

/** Of which nothing is decided, when their coordinator was terminated. */
const terminated = (
  branches: readonly BranchReport[],
  look: Partial<DatabaseLook>,
  more: Partial<TransactionReport> = {},
): Case<RegExp>['given'] => {
  const report = { id, protocol: 'two-phase-commit', outcome: 'preparing', branches, attempts: 1, ...more };
  return found([report as TransactionReport], {
    workflow: workflow({ status: 'TERMINATED' }),
    databases: databases(look),
  });
};
/** In one phase, its only branch does not vote. */
const ONE = [branch('credit', { kind: 'waiting' }, { vote: 'none' })];
const rowOf = (state: DatabaseLook['rows'][number]['state'], transaction: string = id) => ({
  rows: [{ transaction, branch: 'credit', state, participant: 'south-bank', workflowId: id }],
});

const CASES: readonly Case<RegExp>[] = [
  {
    what: 'a saga that runs',
    given: found([saga('running', step('debit'), step('credit', { fate: { kind: 'running' } }))]),
    need: 'nobody',
    first: /^Nothing needs a person: it is under way, and 1 of 2 steps that were begun is done\.$/,
  },
  {
    what: 'a step that is held before the pivot',
    given: found([saga('held', step('debit'), step('credit', { fate: HELD }))]),
    need: 'person',
    first: /^Somebody has to decide: what became of step credit is not known/,
    toDo: [
      /: temporal-txn retry transfer-4711 --step credit --by <you> --reason <why> --apply$/,
      /: temporal-txn compensate transfer-4711 --step credit /,
    ],
  },
  {
    what: 'a step that is held after the pivot',
    given: found([
      saga(
        'held',
        step('pay', { role: 'pivot', compensation: { kind: 'not-needed' } }),
        step('mail', { role: 'retriable', fate: HELD }),
      ),
    ]),
    need: 'person',
    first: /^Somebody has to decide/,
    toDo: [/temporal-txn retry /, /: temporal-txn skip transfer-4711 --step mail /],
  },
  {
    what: 'a step that is held beside a pivot that is done',
    given: found([
      saga(
        'held',
        step('credit', { fate: HELD }),
        step('pay', { role: 'pivot', compensation: { kind: 'not-needed' } }),
      ),
    ]),
    need: 'person',
    first: /^Somebody has to decide/,
    toDo: [/temporal-txn retry /, /: temporal-txn skip transfer-4711 --step credit /],
  },
  {
    what: 'a workflow and a database that disagree',
    given: found([saga('running', step('debit'))], {
      disagreements: [
        {
          transaction: id,
          participant: 'north-bank',
          branch: 'debit',
          told: 'the workflow says done, and nothing is there',
        },
      ],
    }),
    need: 'person',
    first: /^Somebody has to look: workflow and database disagree about debit at north-bank\.$/,
    toDo: [/^Find out who changed/, /^temporal-txn audit$/],
  },
  {
    what: 'a compensation that is held, in a transaction inside another one',
    given: found([
      saga('compensating', step('a')),
      { ...saga('held', step('b', { compensation: HELD })), id: parseTransactionId('transfer-4711/1/1') },
    ]),
    need: 'person',
    first: /^Somebody has to decide: the compensation of b keeps failing/,
    toDo: [/retry transfer-4711 --step b --transaction transfer-4711\/1\/1 /, /skip /],
  },
  {
    what: 'a reservation that waits for its caller',
    given: found([reserved]),
    need: 'nobody',
    first: /everything is reserved, and waits for its caller to confirm or cancel/,
  },
  {
    what: 'a branch that is overdue',
    given: found([commit('overdue', branch('credit', { kind: 'overdue', cause: 'it does not answer' }))]),
    need: 'person',
    first:
      /^Somebody has to look: it is decided commit, and credit at south-bank has not followed in time\. Your money is safe/,
    toDo: [/^Bring south-bank back/],
  },
  {
    what: 'a branch that did otherwise than decided',
    given: found([commit('held', branch('debit', { kind: 'done' }), branch('credit', HELD))]),
    need: 'person',
    first: /^Somebody has to look: it is decided commit, and credit at south-bank did otherwise/,
    toDo: [
      /^Look: temporal-txn resolve transfer-4711 /,
      /temporal-txn retry transfer-4711 --step credit /,
      /mixed: temporal-txn skip /,
    ],
  },
  {
    what: 'a branch that did otherwise than decided, in a further attempt',
    given: found([{ ...commit('held', branch('credit', HELD)), attempts: 2 } as TransactionReport]),
    need: 'person',
    first: /^Somebody has to look: it is decided commit, and credit at south-bank did otherwise/,
    toDo: [
      /^Look: temporal-txn resolve transfer-4711\+2 /,
      /temporal-txn retry transfer-4711 --step credit --by /,
      /mixed: temporal-txn skip transfer-4711 --step credit --by /,
    ],
  },
  {
    what: 'a mixed outcome',
    given: found([commit('mixed', branch('credit', SKIPPED))], { workflow: workflow({ status: 'FAILED' }) }),
    need: 'person',
    first:
      /^Somebody has to know: some effects stay and others do not \(credit was left as it is by ann: told by phone\)\.$/,
    toDo: [/^Make the business data agree by hand\./],
  },
  {
    what: 'a mixed outcome that a person has accepted',
    given: found([commit('mixed', branch('credit', SKIPPED))], {
      workflow: workflow({ status: 'FAILED' }),
      databases: databases({
        accepted: [
          {
            participant: 'south-bank',
            key: keyOf(id),
            branchKey: 'b',
            took: 'abort',
            by: 'kim',
            reason: 'entry 17',
            at: new Date(0),
            kinds: ['took-effect'],
          },
        ],
      }),
    }),
    need: 'nobody',
    first: /^It ended mixed, and that is accepted/,
  },
  {
    what: 'a saga that was terminated when nothing stood',
    given: found([saga('compensating', step('debit', { compensation: { kind: 'compensated' } }))], {
      workflow: workflow({ status: 'TERMINATED' }),
    }),
    need: 'nobody',
    first: /^Your money is safe: its workflow was terminated when nothing had taken effect\.$/,
  },
  {
    what: 'one branch that has committed in one phase, when its workflow was terminated',
    given: terminated(ONE, rowOf('applied')),
    need: 'person',
    first:
      /^Somebody has to act: its workflow was terminated before it heard of its only branch, and that took effect: credit at south-bank\.$/,
    toDo: [/^Resume it in code, with the same input: .*resume\('transferMoney', \{ id: 'transfer-4711', input \}\)$/],
  },
  {
    what: 'the same, in a further attempt of three-phase commit',
    given: terminated(ONE, rowOf('applied', `${id}+2`), { protocol: 'three-phase-commit', attempts: 2 }),
    need: 'person',
    first: /^Somebody has to act: .* took effect: credit at south-bank\.$/,
    toDo: [/^Resume it in code/],
  },
  {
    what: 'one branch that was refused, when its workflow was terminated',
    given: terminated(ONE, rowOf('refused')),
    need: 'nobody',
    first: /^Your money is safe: its workflow was terminated, and nothing took effect\.$/,
  },
  {
    what: 'one branch of which there is no row, when its workflow was terminated',
    given: terminated(ONE, {}),
    need: 'unknown',
    first: /^It cannot be told whether it takes effect: its workflow was terminated before it heard of its only branch/,
    toDo: [/^Resume it in code/],
  },
  {
    what: 'one branch in a database that was not looked at, when its workflow was terminated',
    given: terminated(ONE, { lookedAt: [], notLookedAt: [{ participant: 'south-bank', why: 'It is away.' }] }),
    need: 'unknown',
    first: /^It cannot be told whether it takes effect/,
    toDo: [/^Resume it in code/],
  },
  {
    what: 'several branches of which nothing is decided, when their workflow was terminated',
    given: terminated([branch('debit', { kind: 'waiting' }), ...ONE], {}),
    need: 'nobody',
    first: /^Your money is safe: its workflow was terminated before anything was decided, and nothing can be committed/,
  },
  {
    what: 'one reservation, when its workflow was terminated',
    given: terminated(ONE, {}, { protocol: 'try-confirm-cancel', outcome: 'reserved' }),
    need: 'nobody',
    first: /^Your money is safe: its workflow was terminated before anything was decided/,
  },
  {
    what: 'a saga that failed by a bug while a step stood',
    given: found([saga('running', step('debit'))], { workflow: workflow({ status: 'FAILED' }) }),
    need: 'person',
    first: /^Somebody has to act: its workflow was ended \(FAILED\), and what 1 step did stands: debit\.$/,
    toDo: [/temporal-txn timeline transfer-4711$/],
  },
  {
    what: 'a workflow whose worker is away',
    given: found([], { workflow: workflow({ report: { kind: 'no-worker', why: 'no worker answers' } }) }),
    need: 'unknown',
    first:
      /^It cannot be told whether somebody is needed: the workflow runs, and no worker of task queue transactions answers\.$/,
    toDo: [/^Start a worker of task queue transactions\.$/],
  },
  {
    what: 'a decision, where Temporal is down',
    given: found([], { workflow: { kind: 'down', why: 'refused' }, databases: databases({ decisions: [decided] }) }),
    need: 'nobody',
    first: /^Your money is safe: it is decided commit/,
  },
  {
    what: 'branches of a saga, where Temporal is down',
    given: found([], {
      workflow: { kind: 'down', why: 'refused' },
      databases: databases({
        rows: [{ transaction: id, branch: 'debit', state: 'applied', participant: 'north-bank', workflowId: id }],
      }),
    }),
    need: 'unknown',
    first: /^It cannot be told whether it has ended: 1 branch of 1 in the databases took effect and stands\.$/,
    toDo: [/^Try again when Temporal answers\.$/],
  },
  {
    what: 'a finding of the audit, though the workflow ended well',
    given: found([commit('committing', branch('credit', { kind: 'done' }))], {
      databases: databases({
        findings: [
          {
            kind: 'lost',
            participant: 'south-bank',
            key: keyOf(id),
            branch: 'credit',
            told: 'It is lost.',
            toDo: 'repair it',
          },
        ],
      }),
    }),
    need: 'person',
    first: /^Somebody has to look: at south-bank, credit did otherwise than the others \(lost\)\.$/,
    toDo: [/^repair it\.$/, /^temporal-txn audit$/],
  },
];

describe('the verdict', () => {
  it.each(CASES)('on $what', ({ given, need, first, toDo = [] }) => {
    const verdict = verdictOf(given);
    expect(verdict.need).toBe(need);
    expect(verdict.first).toMatch(first);
    expect(verdict.toDo).toHaveLength(toDo.length);
    for (const [i, pattern] of toDo.entries()) expect(verdict.toDo[i]).toMatch(pattern);
  });

  it.each(CASES)('is told without a control character, on a page and in sentences: $what', ({ given }) => {
    const standing = { ...given, verdict: verdictOf(given), exitCode: ExitCode.Well };
    for (const { text } of [tellStanding(standing), explain(standing)]) {
      expect(text).not.toMatch(/[^\n\x20-\x7e]/);
      expect(text.startsWith(`${standing.verdict.first} Nothing was changed.\n`)).toBe(true);
      for (const one of standing.verdict.toDo) expect(text).toContain(`\n  ${one}`);
    }
  });
});

describe('several decisions, where nobody can be asked which transactions the workflow ran', () => {
  const decide = (transaction: string, decision: 'commit' | 'abort', code?: string): DecisionRow => ({
    ...decided,
    transaction,
    key: keyOf(transaction),
    decision,
    ...(code === undefined ? {} : { reason: { code, message: 'No.' } }),
  });
  const [committed, aborted] = [decide(id, 'commit'), decide(id, 'abort')];
  const contended = decide(id, 'abort', 'contention');
  const row = (transaction: string, state: DatabaseLook['rows'][number]['state']) => ({
    transaction,
    branch: 'debit',
    state,
    participant: 'north-bank',
    workflowId: id,
  });
  const judge = (
    decisions: DatabaseLook['decisions'],
    rows: DatabaseLook['rows'] = [],
    asked: Found['workflow'] = { kind: 'down', why: 'refused' },
  ) => verdictOf(found([], { workflow: asked, databases: databases({ decisions, rows }) }));
  const COMMIT = /^Your money is safe: it is decided commit/;
  const ABORT = /^Your money is safe: it is decided abort/;
  const UNCLEAR = /^It cannot be told how all of it stands: it is decided commit itself, but its workflow ran more/;

  it.each([
    { what: 'the last attempt', decisions: [aborted, decide(`${id}+2`, 'commit')], first: COMMIT },
    {
      what: 'the last attempt, by number',
      decisions: [aborted, decide(`${id}+9`, 'abort'), decide(`${id}+10`, 'commit')],
      first: COMMIT,
    },
    {
      what: 'the last attempt, which is aborted too, and for good',
      decisions: [contended, decide(`${id}+2`, 'abort', 'refused')],
      first: ABORT,
    },
    {
      what: 'what the attempts before it left',
      decisions: [aborted, decide(`${id}+2`, 'commit')],
      rows: [row(id, 'fenced'), row(`${id}+2`, 'applied')],
      first: COMMIT,
    },
    { what: 'another one that is decided alike', decisions: [committed, decide(`${id}/2`, 'commit')], first: COMMIT },
  ])('it is judged by the last attempt, and nobody is needed: $what', ({ decisions, rows, first }) => {
    for (const inOrder of [decisions, decisions.toReversed()]) {
      const verdict = judge(inOrder, rows);
      expect(verdict.need).toBe('nobody');
      expect(verdict.first).toMatch(first);
    }
  });

  it.each([
    {
      what: 'another one that is decided otherwise',
      decisions: [committed, decide(`${id}/2`, 'abort')],
      first: UNCLEAR,
      why: 'transfer-4711/2 is decided abort at north-bank',
    },
    {
      what: 'another one without a decision',
      decisions: [committed],
      rows: [row(`${id}/2`, 'applied')],
      first: UNCLEAR,
      why: 'transfer-4711/2 is in the branch log of north-bank, and in no register',
    },
    {
      what: 'a saga with one inside it',
      decisions: [decide(`${id}/1/1`, 'commit')],
      rows: [row(id, 'applied'), row(`${id}/1/1`, 'applied')],
      first: /^It cannot be told whether it has ended: 2 branches of 2 in the databases took effect and stand\.$/,
      why: 'transfer-4711/1/1 is decided commit at north-bank',
    },
    {
      what: 'one inside it, and nothing else',
      decisions: [decide(`${id}/1/1`, 'abort')],
      first: /^It cannot be told how it stands: no database has anything of it but of others that its workflow ran\.$/,
      why: 'transfer-4711/1/1 is decided abort at north-bank',
    },
  ])('it is not told to be final, and the others are listed: $what', ({ decisions, rows, first, why }) => {
    for (const inOrder of [decisions, decisions.toReversed()]) {
      const verdict = judge(inOrder, rows);
      expect(verdict.need).toBe('unknown');
      expect(verdict.first).toMatch(first);
      expect(verdict.why).toContain(`Of others that its workflow ran, ${why}.`);
    }
  });

  const NOT_OVER = /^It cannot be told how it ends: its last attempt that is decided was aborted for contention/;
  const away = workflow({ report: { kind: 'no-worker', why: 'no worker answers' } });
  const begunIn = (status: string | undefined) =>
    ({ kind: 'unknown', begunIn: { group: 'group:t:7', status } }) as const;

  it.each([
    { what: 'Temporal is down', asked: undefined },
    { what: 'it has not begun again', asked: workflow() },
    { what: 'its workflow can be resumed', asked: { ...away, status: 'TERMINATED' } },
    { what: 'its group can have it go on', asked: { ...away, id: 'group:t:7', status: 'TIMED_OUT' } },
    { what: 'its group has only just left it', asked: begunIn('RUNNING') },
  ])('an abort for contention is not told to be final while another attempt may come: $what', ({ asked }) => {
    for (const decisions of [[contended], [contended, decide(`${id}+2`, 'abort', 'contention')]]) {
      const verdict = judge(decisions, [row(id, 'fenced')], asked);
      expect(verdict).toMatchObject({ need: 'unknown', first: expect.stringMatching(NOT_OVER) });
      expect(verdict.why).toMatch(/^The register at north-bank says abort for contention, by coordinator\./);
    }
  });

  it.each([
    { what: 'Temporal says so', asked: workflow({ status: 'FAILED' }) },
    { what: 'Temporal has forgotten it', asked: { kind: 'unknown' } as const },
    { what: 'Temporal has forgotten its group', asked: begunIn(undefined) },
  ])('an abort for contention is final where its workflow has ended for good: $what', ({ asked }) => {
    expect(judge([contended], [], asked)).toMatchObject({ need: 'nobody', first: expect.stringMatching(ABORT) });
  });

  it.each(['tried', 'fenced'] as const)('a later attempt that is %s and not decided keeps it open', (state) => {
    for (const [decision, first] of [
      [contended, NOT_OVER],
      [aborted, /^It cannot be told how all of it stands: it is decided abort itself, but/],
    ] as const) {
      const verdict = judge([decision], [row(id, 'fenced'), row(`${id}+2`, state)]);
      expect(verdict).toMatchObject({ need: 'unknown', first: expect.stringMatching(first) });
      expect(verdict.why).toContain('transfer-4711+2 is in the branch log of north-bank, and in no register.');
    }
  });

  it('the last attempt is looked for, whichever it is', () => {
    expect(idsOf(id, [])).toEqual(expect.arrayContaining([id, `${id}+2`, `${id}+100`, `${id}/2`, `${id}/1/1`]));
  });

  it('the last attempt is told of where no worker answers', () => {
    expect(judge([aborted, decide(`${id}+2`, 'commit')], [], away).why).toMatch(
      / says commit, and all branches get that/,
    );
    expect(judge([decide(`${id}/1/1`, 'commit')], [], away).why).not.toMatch(/ says /);
    const open = judge([contended], [row(`${id}+2`, 'tried')], away).why;
    expect(open).toMatch(
      / says abort for contention: nothing of that attempt takes effect, and another one may follow\./,
    );
    expect(open).toContain('transfer-4711+2 is in the branch log of north-bank, and in no register.');
  });
});

describe('workflow and database', () => {
  const row = (state: DatabaseLook['rows'][number]['state'], transaction: string = id) =>
    databases({ rows: [{ transaction, branch: 'credit', participant: 'south-bank', state, workflowId: id }] });
  const at = { participant: 'south-bank' };
  const compensated = saga('compensating', step('credit', { ...at, compensation: { kind: 'compensated' } }));
  const done = commit('committing', branch('credit', { kind: 'done' }));

  it.each([
    { what: 'undone, and it stands', report: compensated, look: row('applied'), told: ['credit'] },
    { what: 'undone', report: compensated, look: row('compensated'), told: [] },
    {
      what: 'being undone: anything may be',
      report: saga('compensating', step('credit', { ...at, compensation: { kind: 'running' } })),
      look: row('applied'),
      told: [],
    },
    { what: 'done, and there is no row', report: saga('running', step('credit', at)), look: STATES, told: ['credit'] },
    {
      what: 'done, in a database that was not looked at',
      report: saga('running', step('credit', at)),
      look: databases({ lookedAt: [] }),
      told: [],
    },
    { what: 'committed, and it was given up', report: done, look: row('fenced'), told: ['credit'] },
    { what: 'committed', report: done, look: row('applied'), told: [] },
    {
      what: 'committed in its second attempt',
      report: { ...done, attempts: 2 } as TransactionReport,
      look: row('applied', `${id}+2`),
      told: [],
    },
    {
      what: 'decided otherwise in the register',
      report: done,
      look: { ...row('applied'), decisions: [{ ...decided, decision: 'abort' as const }] },
      told: ['credit'],
    },
  ])('are compared: $what', ({ report, look, told }) => {
    expect(disagreementsOf([report], look, false).map((one) => one.branch)).toEqual(told);
  });

  it('a row that may have been purged proves nothing by its absence', () => {
    const report = saga('running', step('credit', at));
    expect(disagreementsOf([report], STATES, true)).toEqual([]);
    expect(disagreementsOf([report], row('fenced'), true)).toHaveLength(1);
  });
});

describe('what took effect and the saga does not tell of', () => {
  const ended = (outcome: 'compensated' | 'committed', ...steps: StepReport[]): SagaReport =>
    // Cast: the cause and the result are of no matter here.
    ({ ...saga('running', ...steps), outcome }) as SagaReport;
  const undone = ended('compensated', step('debit', { compensation: { kind: 'compensated' } }));
  const row = (more: Partial<DatabaseLook['rows'][number]> = {}): DatabaseLook['rows'][number] => ({
    transaction: id,
    branch: 'credit',
    state: 'applied',
    participant: 'south-bank',
    workflowId: 'group:transferMoney:7',
    ...more,
  });
  const debited = row({ branch: 'debit', participant: 'north-bank', state: 'compensated' });
  const lookAt = (rows: DatabaseLook['rows'], more: Partial<DatabaseLook> = {}) =>
    databases({ rows: [debited, ...rows], ...more });

  it('is a disagreement that needs a person, and is undone by hand', () => {
    const look = lookAt([row()]);
    const disagreements = disagreementsOf([undone], look, false);
    expect(disagreements).toMatchObject([
      {
        transaction: id,
        participant: 'south-bank',
        branch: 'credit',
        told: 'the workflow says compensated and names no such step, the branch log of south-bank says applied',
      },
    ]);
    const verdict = verdictOf(
      found([undone], { workflow: workflow({ status: 'FAILED' }), databases: look, disagreements }),
    );
    expect(verdict.need).toBe('person');
    expect(verdict.first).toMatch(/^Somebody has to look: credit at south-bank took effect and stands, .* everything/);
    expect(verdict.toDo[0]).toMatch(/^Look at the business data of south-bank/);
  });

  it.each([
    { what: 'of a transaction inside it', look: lookAt([row({ transaction: `${id}/1/1` })]) },
    { what: 'of one that follows it', look: lookAt([row({ transaction: `${id}/2` })]) },
    { what: 'reserved, and cancelled', look: lookAt([row({ state: 'tried' }), row({ state: 'cancelled' })]) },
    { what: 'undone', look: lookAt([row({ state: 'compensated' })]) },
    { what: 'decided, which the audit compares', look: lookAt([row()], { decisions: [decided] }) },
    {
      what: 'told of, in a database that two participants share',
      look: databases({ rows: [debited, { ...debited, participant: 'south-bank' }] }),
    },
  ])('is none: $what', ({ look }) => {
    expect(disagreementsOf([undone], look, false)).toEqual([]);
  });

  it('is none while the saga may still come to it', () => {
    for (const outcome of ['running', 'compensating', 'held'] as const)
      expect(disagreementsOf([saga(outcome)], lookAt([row()]), false)).toEqual([]);
  });

  it('is one beside a saga that has committed, too, and told once where two participants share a database', () => {
    const look = databases({
      rows: [row({ branch: 'debit' }), row(), row({ participant: 'north-bank' })],
    });
    expect(disagreementsOf([ended('committed', step('debit'))], look, true).map((one) => one.branch)).toContain(
      'credit',
    );
    expect(
      disagreementsOf([ended('committed')], databases({ rows: [row(), row({ participant: 'north-bank' })] }), true),
    ).toHaveLength(1);
  });
});
