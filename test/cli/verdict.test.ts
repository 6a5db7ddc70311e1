/** What a person is told first, for every state in which a transaction can be: whether somebody is needed, and what to type. */
import { describe, expect, it } from 'vitest';
import { explain } from '../../src/cli/transaction/explain';
import { ExitCode } from '../../src/cli/exit-code';
import type { DatabaseLook } from '../../src/cli/transaction/databases';
import { disagreementsOf } from '../../src/cli/transaction/disagreements';
import { tellStanding } from '../../src/cli/transaction/tell';
import { verdictOf } from '../../src/cli/transaction/verdict';
import type { Found, Verdict } from '../../src/cli/transaction/verdict-words';
import type { FoundWorkflow } from '../../src/cli/transaction/workflow';
import { keyOf } from '../../src/participant';
import { parseBranchId, parseTransactionId } from '../../src/protocol';
import type {
  BranchReport,
  CommitReport,
  FinishFate,
  SagaReport,
  StepReport,
  TransactionReport,
} from '../../src/protocol';

const id = parseTransactionId('transfer-4711');
const STATES = {
  lookedAt: ['north-bank', 'south-bank'],
  notLookedAt: [],
  rows: [],
  decisions: [],
  inDoubt: [],
  findings: [],
  accepted: [],
};

const workflow = (more: Partial<FoundWorkflow> = {}): FoundWorkflow => ({
  kind: 'found',
  id,
  type: 'transferMoney',
  status: 'RUNNING',
  taskQueue: 'transactions',
  startedAt: new Date(0),
  report: { kind: 'none' },
  events: [],
  pending: [],
  ...more,
});
const found = (reports: readonly TransactionReport[], more: Partial<Found> = {}): Found => ({
  id,
  workflow: workflow({ report: reports.length > 0 ? { kind: 'told', reports } : { kind: 'none' } }),
  reports,
  databases: STATES,
  disagreements: [],
  graceMs: 60_000,
  ...more,
});
const databases = (more: Partial<DatabaseLook>): DatabaseLook => ({ ...STATES, ...more });

const step = (branch: string, more: Partial<StepReport> = {}): StepReport => ({
  branch: parseBranchId(branch),
  role: 'compensatable',
  participant: 'north-bank',
  operation: branch,
  fate: { kind: 'done', answer: 'applied' },
  compensation: { kind: 'armed' },
  ...more,
});
const HELD = { kind: 'held', cause: 'the ledger\u001b[2J is closed' } as const;
const saga = (outcome: 'running' | 'compensating' | 'held', ...steps: StepReport[]): SagaReport => ({
  id,
  protocol: 'saga',
  outcome,
  steps,
});

const branch = (name: string, finish: FinishFate, more: Partial<BranchReport> = {}): BranchReport => ({
  branch: parseBranchId(name),
  participant: 'south-bank',
  operation: name,
  vote: 'commit',
  finish,
  ...more,
});
type Outcome = Extract<CommitReport<'two-phase-commit'>, { readonly decision?: unknown }>['outcome'];
const commit = (outcome: Outcome | 'mixed', ...branches: BranchReport[]): TransactionReport =>
  // Cast: the outcomes that end it have more to say, and these tests less.
  ({ id, protocol: 'two-phase-commit', outcome, decision: 'commit', branches, attempts: 1 }) as TransactionReport;
const reserved: TransactionReport = {
  id,
  protocol: 'try-confirm-cancel',
  outcome: 'reserved',
  branches: [branch('reserveRoom', { kind: 'waiting' })],
  attempts: 1,
};
const decided = {
  participant: 'north-bank',
  transaction: id,
  key: keyOf(id),
  decision: 'commit',
  by: 'coordinator',
  ageMs: 90_000,
  branches: [],
} as const;
const SKIPPED = { kind: 'skipped', by: 'ann', reason: 'told by phone', evidence: 'rolled back by hand' } as const;

interface Case {
  readonly what: string;
  readonly given: Found;
  readonly need: Verdict['need'];
  readonly first: RegExp;
  readonly toDo?: readonly RegExp[];
}

const CASES: readonly Case[] = [
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
        { participant: 'north-bank', branch: 'debit', told: 'the workflow says done, and nothing is there' },
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
