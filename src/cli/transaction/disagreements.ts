/** Where what a workflow reports and what stands in the databases are not the same. Pure. */
import { AbortCode, idInDatabases } from '../../protocol';
import type { BranchReport, CommitReport, SagaReport, StepReport, TransactionReport } from '../../protocol';
import { printable } from '../printable';
import type { DatabaseLook, Row } from './databases';

/** One branch of which two places say different things. */
export interface Disagreement {
  /** Its id in the databases. */
  readonly transaction: string;
  readonly participant: string;
  readonly branch: string;
  readonly told: string;
  /** Where it took effect and stands, and its saga has ended like this without telling of it. */
  readonly unreported?: { readonly outcome: string; readonly askedBy: string | null };
}

/** The row of a branch, `undefined` where there is none. */
export const rowOf = (
  { rows }: Pick<DatabaseLook, 'rows'>,
  transaction: string,
  { branch, participant }: { readonly branch: string; readonly participant?: string },
): Row | undefined =>
  rows.find((row) => row.transaction === transaction && row.branch === branch && row.participant === participant);

/** @param purged whether rows may have been purged: then an absence proves nothing */
export function disagreementsOf(
  reports: readonly TransactionReport[],
  look: DatabaseLook,
  purged: boolean,
): Disagreement[] {
  return reports.flatMap((report) =>
    report.protocol === 'saga' ? ofSaga(report, look, purged) : ofCommit(report, look, purged),
  );
}

function ofSaga(report: SagaReport, look: DatabaseLook, purged: boolean): Disagreement[] {
  const steps = report.steps.flatMap((step) => {
    const { participant, branch } = step;
    if (participant === undefined || !look.lookedAt.includes(participant)) return [];
    const state = rowOf(look, report.id, step)?.state ?? 'no row';
    const wanted = statesOf(step);
    if (wanted === undefined || wanted.includes(state) || (purged && state === 'no row')) return [];
    const said = step.compensation.kind === 'compensated' ? 'compensated' : step.fate.kind;
    return [
      { transaction: report.id, participant, branch, told: told(`the workflow says ${said}`, participant, state) },
    ];
  });
  return [...steps, ...unreportedBy(report, look)];
}

/**
 * What took effect under the id of a saga that has ended and does not tell of it. Transactions inside it have ids of their own; what is
 * decided in a register is compared with that by the audit; and a database that two participants share shows each row twice.
 */
function unreportedBy({ id, outcome, steps }: SagaReport, { rows, decisions }: DatabaseLook): Disagreement[] {
  if (outcome !== 'compensated' && outcome !== 'committed') return [];
  if (decisions.some(({ transaction }) => transaction === id)) return [];
  const known = new Set<string>(steps.map(({ branch }) => branch));
  return rows.flatMap(({ transaction, branch, participant, state, workflowId }) => {
    if (transaction !== id || state !== 'applied' || known.has(branch)) return [];
    known.add(branch);
    const said = told(`the workflow says ${outcome} and names no such step`, participant, state);
    return [{ transaction, participant, branch, told: said, unreported: { outcome, askedBy: workflowId } }];
  });
}

type State = Row['state'] | 'no row';

/** What may stand in the branch log. Undefined where anything may: it is being done, or a person has settled it. */
function statesOf({ fate, compensation }: StepReport): readonly State[] | undefined {
  switch (compensation.kind) {
    case 'compensated':
      return ['compensated', 'fenced'];
    case 'nothing-to-compensate':
      return ['fenced', 'compensated'];
    case 'running':
    case 'held':
    case 'resolved':
    case 'skipped':
      return undefined;
    case 'armed':
    case 'not-needed':
  }
  if (fate.kind === 'done' && fate.answer !== 'read-only') return ['applied'];
  // The row of another request stands there, and is right to.
  if (fate.kind === 'not-done' && fate.refusal.code !== AbortCode.InputMismatch) return ['refused', 'fenced', 'no row'];
  return undefined;
}

function ofCommit(report: CommitReport, look: DatabaseLook, purged: boolean): Disagreement[] {
  const id = idInDatabases(report);
  const decided = look.decisions
    .filter(
      ({ transaction, decision }) =>
        transaction === id && report.decision !== undefined && decision !== report.decision,
    )
    .map(({ participant, decision }) => ({
      transaction: id,
      participant,
      branch: report.branches[0]?.branch ?? '',
      told: `the workflow says that it is decided ${report.decision ?? ''}, the register at ${participant} says ${decision}`,
    }));
  const branches = report.branches.flatMap((branch): Disagreement[] => {
    const { participant } = branch;
    if (participant === undefined || !look.lookedAt.includes(participant)) return [];
    const state = rowOf(look, id, branch)?.state ?? 'no row';
    const wanted = statesAfter(report, branch);
    if (wanted === undefined || wanted.includes(state) || (purged && state === 'no row')) return [];
    const said = `the workflow says that it followed the decision ${report.decision ?? ''}`;
    return [{ transaction: id, participant, branch: branch.branch, told: told(said, participant, state) }];
  });
  return [...decided, ...branches];
}

function statesAfter({ decision }: CommitReport, { vote, finish }: BranchReport): readonly State[] | undefined {
  if (finish.kind !== 'done' || vote === 'read-only') return undefined;
  return decision === 'commit' ? ['applied', 'confirmed'] : ['fenced', 'refused', 'cancelled', 'no row'];
}

const told = (said: string, participant: string, state: State): string =>
  `${said}, the branch log of ${participant} ${state === 'no row' ? 'has no row of it' : `says ${printable(state)}`}`;
