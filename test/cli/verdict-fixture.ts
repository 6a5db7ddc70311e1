/** Transactions as the command finds them, for the tests of what it says of them: a workflow, what it reports, and what stands in the databases. */
import type { DatabaseLook } from '../../src/cli/transaction/databases';
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

/** Something that is found, and what is said of it. */
export interface Case<ToDo> {
  readonly what: string;
  readonly given: Found;
  readonly need: Verdict['need'];
  readonly first: RegExp;
  readonly toDo?: readonly ToDo[];
}

export const id = parseTransactionId('transfer-4711');
export const STATES = {
  lookedAt: ['north-bank', 'south-bank'],
  notLookedAt: [],
  rows: [],
  decisions: [],
  inDoubt: [],
  findings: [],
  accepted: [],
};

export const workflow = (more: Partial<FoundWorkflow> = {}): FoundWorkflow => ({
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
export const found = (reports: readonly TransactionReport[], more: Partial<Found> = {}): Found => ({
  id,
  workflow: workflow({ report: reports.length > 0 ? { kind: 'told', reports } : { kind: 'none' } }),
  reports,
  databases: STATES,
  disagreements: [],
  graceMs: 60_000,
  namespace: 'default',
  ...more,
});
export const databases = (more: Partial<DatabaseLook>): DatabaseLook => ({ ...STATES, ...more });

export const step = (branch: string, more: Partial<StepReport> = {}): StepReport => ({
  branch: parseBranchId(branch),
  role: 'compensatable',
  participant: 'north-bank',
  operation: branch,
  fate: { kind: 'done', answer: 'applied' },
  compensation: { kind: 'armed' },
  ...more,
});
export const HELD = { kind: 'held', cause: 'the ledger\u001b[2J is closed' } as const;
export const saga = (outcome: 'running' | 'compensating' | 'held', ...steps: StepReport[]): SagaReport => ({
  id,
  protocol: 'saga',
  outcome,
  steps,
});

export const branch = (name: string, finish: FinishFate, more: Partial<BranchReport> = {}): BranchReport => ({
  branch: parseBranchId(name),
  participant: 'south-bank',
  operation: name,
  vote: 'commit',
  finish,
  ...more,
});
type Outcome = Extract<CommitReport<'two-phase-commit'>, { readonly decision?: unknown }>['outcome'];
export const commit = (outcome: Outcome | 'mixed', ...branches: BranchReport[]): TransactionReport =>
  // Cast: the outcomes that end it have more to say, and these tests less.
  ({ id, protocol: 'two-phase-commit', outcome, decision: 'commit', branches, attempts: 1 }) as TransactionReport;
export const reserved: TransactionReport = {
  id,
  protocol: 'try-confirm-cancel',
  outcome: 'reserved',
  branches: [branch('reserveRoom', { kind: 'waiting' })],
  attempts: 1,
};
export const decided = {
  participant: 'north-bank',
  transaction: id,
  key: keyOf(id),
  decision: 'commit',
  by: 'coordinator',
  ageMs: 90_000,
  branches: [],
} as const;
