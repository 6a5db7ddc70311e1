/** What a person is told first of a group, and of a transaction that travels in one: how many stand how, and what to type. */
import { describe, expect, it } from 'vitest';
import { explain } from '../../src/cli/transaction/explain';
import { ExitCode } from '../../src/cli/exit-code';
import type { DatabaseLook } from '../../src/cli/transaction/databases';
import { withoutThoseWhoLeft } from '../../src/cli/transaction/group';
import { tellStanding } from '../../src/cli/transaction/tell';
import { verdictOf } from '../../src/cli/transaction/verdict';
import type { Found } from '../../src/cli/transaction/verdict-words';
import type { FoundWorkflow } from '../../src/cli/transaction/workflow';
import { keyOf } from '../../src/participant';
import { parseTransactionId } from '../../src/protocol';
import type { TransactionReport } from '../../src/protocol';
import { branch, databases, decided, found, id, saga, step, workflow } from './verdict-fixture';
import type { Case } from './verdict-fixture';

const GROUP = 'group:transferMoney:7';
const RESET = `temporal workflow reset --workflow-id ${GROUP} --type LastWorkflowTask --reason '<why>'`;
const NO_WORKER = { kind: 'no-worker', why: 'no worker answers' } as const;

const asOf = (report: TransactionReport, name: string): TransactionReport => ({
  ...report,
  id: parseTransactionId(name),
});
const group = (status: string, more: Partial<FoundWorkflow> = {}): FoundWorkflow =>
  workflow({ id: GROUP, type: 'runGroup', status, ...more });
/** The group itself, as it is asked for. */
const wholeGroup = (
  status: string,
  reports: readonly TransactionReport[],
  more: Partial<Found> = {},
  left: readonly string[] = [],
): Found =>
  found(reports, {
    id: GROUP,
    workflow: group(status, { left, report: reports.length > 0 ? { kind: 'told', reports } : { kind: 'none' } }),
    ...more,
  });
/** One of its transactions. */
const member = (status: string, report: TransactionReport | undefined, more: Partial<Found> = {}): Found =>
  found(report === undefined ? [] : [report], {
    workflow: group(status, { report: report === undefined ? NO_WORKER : { kind: 'told', reports: [report] } }),
    ...more,
  });

const committed = (name: string): TransactionReport =>
  // Cast: nobody here asks for its result.
  ({ ...saga('running', step('debit')), id: parseTransactionId(name), outcome: 'committed' }) as TransactionReport;
const halfDone = (name: string): TransactionReport => asOf(saga('running', step('debit')), name);
const rows: DatabaseLook['rows'] = [
  { transaction: id, branch: 'debit', state: 'applied', participant: 'north-bank', workflowId: GROUP },
];
/** One with a single branch has no vote, and leaves its group. */
const UNDECIDED: TransactionReport = {
  id,
  protocol: 'two-phase-commit',
  outcome: 'preparing',
  branches: [branch('debit', { kind: 'waiting' }), branch('credit', { kind: 'waiting' })],
  attempts: 1,
};
const abortOfAnother = { ...decided, transaction: 'other', key: keyOf('other'), decision: 'abort' } as const;

const event = (type: string, attributes: object): FoundWorkflow['events'][number] => ({
  id: 1,
  atMs: 0,
  type,
  attributes: { ...attributes },
});
/** The group, with its answer in its history. */
const answered = (kind: string): FoundWorkflow =>
  group('COMPLETED', {
    report: NO_WORKER,
    events: [event('workflowExecutionCompleted', { result: { payloads: [{ outcomes: [{ kind, id }] }] } })],
  });
const begunWith = (...ids: readonly string[]): FoundWorkflow['events'][number] =>
  event('workflowExecutionStarted', { input: { payloads: [{ items: ids.map((one) => ({ id: one })) }] } });

const START = 'Start a worker of task queue transactions.';
const CASES: readonly Case<string>[] = [
  {
    what: 'a group under way',
    given: wholeGroup('RUNNING', [halfDone('a'), committed('b'), committed('c')], {}, ['d', 'e']),
    need: 'nobody',
    first:
      /^Nothing needs a person: the group is under way\. Its 5 transactions: 1 running, 2 committed, 2 gone on under their own ids\.$/,
  },
  {
    what: 'a group that has ended, of which one has left',
    given: wholeGroup('COMPLETED', [committed('a')], {}, ['b']),
    need: 'nobody',
    first:
      /^Nothing needs a person: the group has ended well\. Its 2 transactions: 1 committed, 1 gone on under its own id\.$/,
  },
  {
    what: 'a group that was terminated',
    given: wholeGroup('TERMINATED', [halfDone('a'), committed('b'), halfDone('c')], {}, ['d']),
    need: 'person',
    first:
      /^Somebody has to act: the group was terminated\. Its 4 transactions: 2 interrupted half done, 1 committed, 1 gone on under its own id\.$/,
    toDo: [`Have all that have not ended in it go on under their own ids: ${RESET}`],
  },
  {
    what: 'a group of another namespace that timed out',
    given: wholeGroup('TIMED_OUT', [halfDone('a')], { namespace: 'bank' }),
    need: 'person',
    first: /^Somebody has to act: the group was timed out\. Its 1 transaction: 1 interrupted half done\.$/,
    toDo: [
      `Have all that have not ended in it go on under their own ids: ${RESET.replace(' --type', ' --namespace bank --type')}`,
    ],
  },
  {
    what: 'a group that was terminated before anything was decided',
    given: wholeGroup('TERMINATED', [UNDECIDED]),
    need: 'nobody',
    first:
      /^Your money is safe: the group was terminated, and nothing is half done\. Its 1 transaction: 1 interrupted\.$/,
    toDo: [`Have all that have not ended in it go on under their own ids: ${RESET}`],
  },
  {
    what: 'a group that was terminated before it had begun all',
    given: wholeGroup('TERMINATED', [], { workflow: group('TERMINATED', { events: [begunWith('a', 'b')] }) }),
    need: 'nobody',
    first:
      /^Your money is safe: the group was terminated, and nothing is half done\. Its 2 transactions: 2 not begun\.$/,
    toDo: [`Have all that have not ended in it go on under their own ids: ${RESET}`],
  },
  {
    what: 'a group that was terminated, without a worker',
    given: wholeGroup('TERMINATED', [], { workflow: group('TERMINATED', { report: NO_WORKER }) }),
    need: 'unknown',
    first:
      /^It cannot be told how its transactions stand: the group is TERMINATED, and no worker of task queue transactions answers\.$/,
    toDo: [START, `Have all that have not ended in it go on under their own ids: ${RESET}`],
  },
  {
    what: 'a saga whose group was terminated',
    given: member('TERMINATED', saga('running', step('debit'))),
    need: 'person',
    first: /^Somebody has to act: its workflow was terminated, and what 1 step did stands: debit\.$/,
    toDo: [`Have its group hand it over: ${RESET}`],
  },
  {
    what: 'a transaction whose group runs without a worker',
    given: member('RUNNING', undefined, { databases: databases({ rows }) }),
    need: 'unknown',
    first:
      /^It cannot be told whether somebody is needed: its group runs, and no worker of task queue transactions answers\.$/,
    toDo: [START],
  },
  {
    what: 'a transaction whose group was terminated, without a worker',
    given: member('TERMINATED', undefined, { databases: databases({ rows }) }),
    need: 'unknown',
    first: /^It cannot be told whether it has ended: 1 branch of 1 in the databases took effect and stands\.$/,
    toDo: [START, `If it has not ended, have its group hand it over: ${RESET}`],
  },
  {
    what: 'a transaction that was begun in a group which Temporal has forgotten',
    given: found([], {
      workflow: { kind: 'unknown', begunIn: { group: GROUP, status: undefined } },
      databases: databases({ rows }),
    }),
    need: 'unknown',
    first: /^It cannot be told whether it has ended: 1 branch of 1 in the databases took effect and stands\.$/,
    toDo: [
      'Execute it again with the same id and input: what was done answers from the branch logs, and it goes on from there.',
    ],
  },
  {
    what: 'a transaction that has ended in its group, without a worker',
    given: member('COMPLETED', undefined, { workflow: answered('ended'), databases: databases({ rows }) }),
    need: 'nobody',
    first: /^Nothing needs a person: it has ended well in its group\. Your money is safe\.$/,
  },
  {
    what: 'a transaction that was refused in its group, without a worker',
    given: member('COMPLETED', undefined, { workflow: answered('failed') }),
    need: 'nobody',
    first: /^Nothing needs a person: it was refused in its group, and has ended there\. Your money is safe\.$/,
  },
  {
    what: 'a transaction of which its group says nothing, without a worker',
    given: member('COMPLETED', undefined, { databases: databases({ rows }) }),
    need: 'unknown',
    first: /^It cannot be told how it stands: its group has ended, and does not say that it has ended there\.$/,
    toDo: [START],
  },
  {
    what: 'two-phase commit in a group that was terminated, where another one is decided',
    given: member('TERMINATED', UNDECIDED, {
      databases: databases({ decisions: [abortOfAnother] }),
    }),
    need: 'nobody',
    first: /^Your money is safe: its workflow was terminated before anything was decided/,
  },
];

describe('the verdict on a group, and on what travels in it', () => {
  it.each(CASES)('$what', ({ given, need, first, toDo = [] }) => {
    const verdict = verdictOf(given);
    expect(verdict.first).toMatch(first);
    expect(verdict.need).toBe(need);
    expect(verdict.toDo).toEqual(toDo);
  });

  it('says which group it is', () => {
    const told = CASES.filter(({ what }) => what.startsWith('a transaction ')).map(({ given }) => verdictOf(given).why);
    expect(told).toHaveLength(6);
    for (const why of told) expect(why).toContain(GROUP);
    expect(told.filter((why) => why.includes('which Temporal has forgotten'))).toHaveLength(1);
  });
});

describe('a group', () => {
  const started = event('startChildWorkflowExecutionInitiated', { workflowId: 'a' });
  const told = (status: string, ...events: FoundWorkflow['events']): FoundWorkflow =>
    withoutThoseWhoLeft(
      group(status, { events, report: { kind: 'told', reports: [halfDone('a'), halfDone('b'), committed('c')] } }),
    );
  const namesIn = ({ report }: FoundWorkflow): string[] =>
    report.kind === 'told' ? report.reports.map((one) => one.id) : [];

  it('does not tell of those that have left it: a workflow of their own does', () => {
    const own = event('childWorkflowExecutionStarted', { workflowExecution: { workflowId: 'a' } });
    const heard = event('externalWorkflowExecutionSignaled', { workflowExecution: { workflowId: 'a' } });
    for (const look of [
      told('RUNNING', started),
      told('TERMINATED', started, own),
      told('TERMINATED', started, heard),
    ]) {
      expect(namesIn(look)).toEqual(['b', 'c']);
      expect(look.left).toEqual(['a']);
    }
  });

  it('that was terminated while somebody left it still answers for that one: Temporal starts it no more', () => {
    const elsewhere = event('startChildWorkflowExecutionFailed', { workflowId: 'a' });
    for (const look of [told('TERMINATED', started), told('TIMED_OUT', started, elsewhere)]) {
      expect(namesIn(look)).toEqual(['a', 'b', 'c']);
      expect(look.left).toEqual([]);
    }
  });

  it('that has completed has been left by all that have not ended in it', () => {
    expect(namesIn(told('COMPLETED', started))).toEqual(['c']);
    expect(told('COMPLETED').left).toEqual(['a', 'b']);
  });
});

describe('the page of a group', () => {
  const ids = Array.from({ length: 500 }, (_, i) => `transfer-${i}`);
  const page = (given: Found): string[] =>
    tellStanding({ ...given, verdict: verdictOf(given), exitCode: ExitCode.Well }).text.split('\n');

  it('is no longer where all are well, however many there are', () => {
    const lines = page(wholeGroup('COMPLETED', ids.map(committed)));
    expect(lines.length).toBeLessThan(15);
    expect(lines[0]).toContain('Its 500 transactions: 500 committed.');
  });

  it('shows those that need somebody, some of them where they are many, and says of how many', () => {
    const [one, ...others] = ids;
    const few = page(wholeGroup('TERMINATED', [...others.map(committed), halfDone(one ?? '')]));
    expect(few.filter((line) => line.startsWith('Of '))).toEqual([`Of ${one ?? ''}:`]);
    const many = page(wholeGroup('TERMINATED', ids.map(halfDone)));
    expect(many.filter((line) => line.startsWith('Of '))).toHaveLength(10);
    expect(many).toContain('And 490 more: see -o json, or temporal-txn show <transaction-id>.');
    expect(many.length).toBeLessThan(70);
  });

  it('names the transaction of what disagrees, and not every one of them', () => {
    const disagreements = ids.map((transaction) => ({
      transaction,
      participant: 'north-bank',
      branch: 'debit',
      told: 'the workflow says done, the branch log of north-bank says fenced',
    }));
    const lines = page(wholeGroup('COMPLETED', ids.map(committed), { disagreements }));
    expect(lines[0]).toMatch(/^Somebody has to look: workflow and database disagree about debit at north-bank/);
    expect(lines.filter((line) => line.startsWith('DISAGREEMENT: debit of transfer-'))).toHaveLength(10);
    expect(lines).toContain('And 490 more DISAGREEMENTS: see -o json.');
    expect(lines.join('\n')).toContain('Its 500 transactions: 500 committed.');
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
