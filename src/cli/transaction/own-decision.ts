/**
 * Which of the decisions in the databases is the one about a transaction, and what else its workflow has run. Where the workflow cannot be
 * asked, further attempts and transactions beside it and inside it are looked for by their ids, and each is decided by itself. Pure.
 */
import { AbortCode, readAttempt } from '../../protocol';
import { printable } from '../printable';
import type { DatabaseLook, DecisionRow } from './databases';

export interface OwnDecision {
  /** Of the last attempt that is decided. Undefined where nothing is decided, or it is no transaction that is. */
  readonly own: DecisionRow | undefined;
  /** What is there of other transactions, and of later attempts that are not decided, in a sentence each. */
  readonly others: readonly string[];
  /** Whether all others are decided as it is. */
  readonly alike: boolean;
}

export function ownDecision(id: string, { decisions, rows }: Pick<DatabaseLook, 'decisions' | 'rows'>): OwnDecision {
  const isOwn = ({ transaction }: { readonly transaction: string }): boolean =>
    transaction === id || readAttempt(transaction).of === id;
  const own = decisions.filter(isOwn).reduce<DecisionRow | undefined>(laterOf, undefined);
  const others = decisions.filter((one) => !isOwn(one));
  const undecided = rows.filter(
    (row) =>
      (!isOwn(row) || isLater(row, own)) && !decisions.some(({ transaction }) => transaction === row.transaction),
  );
  const told = [
    ...others.map(
      ({ transaction, decision, participant }) => `${printable(transaction)} is decided ${decision} at ${participant}`,
    ),
    ...undecided.map(
      ({ transaction, participant }) =>
        `${printable(transaction)} is in the branch log of ${participant}, and in no register`,
    ),
  ];
  return {
    own,
    others: [...new Set(told)],
    alike: undecided.length === 0 && others.every(({ decision }) => decision === own?.decision),
  };
}

const laterOf = (one: DecisionRow | undefined, other: DecisionRow): DecisionRow =>
  one === undefined || isLater(other, one) ? other : one;

/** Whether it is of a later attempt than one that is decided. */
const isLater = (
  { transaction }: { readonly transaction: string },
  decided: { readonly transaction: string } | undefined,
): boolean => decided !== undefined && readAttempt(transaction).attempt > readAttempt(decided.transaction).attempt;

/** After that, its workflow tries again. */
export const isForContention = ({ decision, reason }: DecisionRow): boolean =>
  decision === 'abort' && reason?.code === AbortCode.Contention;
