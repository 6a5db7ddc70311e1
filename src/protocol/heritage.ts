/**
 * What somebody who began a transaction leaves to the workflow that goes on with it: a group, or an earlier run of the same workflow, which
 * was terminated. Whoever goes on answers for everything that was asked for: a question that is still under way may be answered at any
 * time, and the same code may ask for something else where it reads what has changed since, or may turn back before it comes as far.
 */
import { canonicalJson } from './canonical-json';
import { isTooDeep } from './depth';
import { isGroupId } from './group';
import type { StepRole } from './saga';
import { parseBranchId, parseOperationName, parseParticipantName } from './words';

/** A step of a saga that a participant was asked for, whether or not it was answered. */
export interface AskedStep {
  readonly branch: string;
  readonly role: StepRole;
  readonly participant: string;
  readonly operation: string;
  readonly input: unknown;
}

export interface Heritage {
  /** The group that has left it. Its doings are the workflow's now. */
  readonly group?: string;
  /** But for those of one that was reset: what its first run has told its caller, and what that had asked for, it does not know. */
  readonly reset?: true;
  readonly asked: readonly AskedStep[];
  /** It was turning back already: what was asked for is to be undone, and nothing else to be done. */
  readonly undo?: true;
  /** More may have been asked for, and nobody could say what; or it has committed, and somebody may have been told so. */
  readonly more?: true;
  /** When it began, in milliseconds since 1970 by the clock of the workflow in which it did. Absent where an older version has left it. */
  readonly began?: number;
  /** The metrics were told how it ended. */
  readonly told?: true;
  /** Earlier runs of the workflow that were terminated, or timed out: nobody was told anything by them, and their doings are this one's. */
  readonly resumed?: readonly string[];
  /** What they have left of the other sagas of the workflow. Absent where they could not be asked. */
  readonly others?: readonly Left[];
}

/** What is left of one saga. */
interface Left extends Pick<Heritage, 'asked' | 'undo' | 'more' | 'began'> {
  readonly transaction: string;
}

/** What one saga of a workflow has asked for, as the query {@link ASKED_QUERY} tells it. */
export interface AskedFor extends Left {
  readonly ended: boolean;
}

/** Signal by which a workflow that goes on already hears of what a group leaves to it. */
export const INHERIT_SIGNAL = 'txnInherit';

/** Query by which a client that resumes a transaction learns what its terminated run has asked for. */
export const ASKED_QUERY = 'txnAsked';

/** What came over the wire is data. @returns undefined when it is no heritage */
export function readHeritage(given: unknown): Heritage | undefined {
  const { group, reset, told, asked, resumed, others, ...rest } = (given ?? {}) as Readonly<Record<string, unknown>>;
  if (!Array.isArray(asked)) return undefined;
  return {
    ...(typeof group === 'string' && isGroupId(group) ? { group } : {}),
    ...(reset === true ? { reset } : {}),
    ...(told === true ? { told } : {}),
    ...readLeft({ asked, ...rest }),
    ...(Array.isArray(resumed) ? { resumed: resumed.filter((run) => typeof run === 'string') } : {}),
    ...(Array.isArray(others) ? { others: others.map(readOther) } : {}),
  };
}

/** What cannot be read was asked for all the same. */
function readLeft(given: unknown): Omit<Left, 'transaction'> {
  const { asked, undo, more, began } = (given ?? {}) as Readonly<Record<string, unknown>>;
  const items: readonly unknown[] = Array.isArray(asked) ? asked : [undefined];
  const steps = items.flatMap(readAsked);
  return {
    asked: steps,
    ...(undo === true ? { undo } : {}),
    ...(more === true || steps.length < items.length ? { more: true } : {}),
    ...(typeof began === 'number' && Number.isFinite(began) ? { began } : {}),
  };
}

const readOther = (given: unknown): Left => ({
  transaction: String((given as Partial<Left> | null)?.transaction),
  ...readLeft(given),
});

function readAsked(given: unknown): AskedStep[] {
  const { branch, role, participant, operation, input } = (given ?? {}) as Readonly<Record<string, unknown>>;
  if (isTooDeep(input)) return [];
  try {
    return [
      {
        branch: parseBranchId(branch),
        role: role === 'pivot' || role === 'retriable' ? role : 'compensatable',
        participant: parseParticipantName(participant),
        operation: parseOperationName(operation),
        input,
      },
    ];
  } catch {
    return [];
  }
}

/** What is left to one transaction of a workflow. @param isFirst whether it is the one that has the workflow's id, of which a group may know */
export function heritageOf(whole: Heritage, transaction: string, isFirst: boolean): Heritage | undefined {
  const { resumed, others } = whole;
  if (isFirst) return whole;
  if (!resumed) return undefined; // A group runs one transaction of each workflow.
  if (!others) return { asked: [], more: true, resumed };
  const left = others.find((other) => other.transaction === transaction);
  if (!left) return { asked: [], resumed };
  const { transaction: _, ...own } = left;
  return { ...own, resumed };
}

/** Whether a participant could not tell them apart: its log has one row for both. */
export const asksTheSame = (
  one: Omit<AskedStep, 'role'>,
  other: {
    readonly branch: string;
    readonly participant?: string;
    readonly operation: string;
    readonly input: unknown;
  },
): boolean =>
  one.branch === other.branch &&
  one.participant === other.participant &&
  one.operation === other.operation &&
  asSent(one.input) === asSent(other.input);

/** One of them has travelled, the other one will. */
function asSent(input: unknown): string {
  return canonicalJson(JSON.parse(JSON.stringify(input) ?? 'null'));
}
