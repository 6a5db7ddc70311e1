/**
 * What people have accepted is no finding any more, and stays a note. Somebody accepts what he has seen: what the branch took
 * against which decision. Another deed of the same branch, or another decision, needs a person again.
 */
import { acceptancesOf } from '../../participant';
import type { RecordedAcceptance, TransactionKey } from '../../participant';
import type { Decision } from '../../protocol';
import type { Database } from '../databases';
import { printable } from '../printable';
import type { Deed, Finding } from './judge-decision';
import type { Look } from './look';

/** A branch that was accepted, with what would be found without that. */
export interface Accepted {
  readonly participant: string;
  readonly key: TransactionKey;
  readonly branchKey: string;
  readonly transaction?: string;
  readonly branch?: string;
  readonly took: Decision;
  readonly by: string;
  readonly reason: string;
  readonly at: Date;
  readonly kinds: readonly Finding['kind'][];
}

/** Whether a finding at the same participant is what was accepted. */
export function covers(
  { key, branchKey, took, decision, at }: RecordedAcceptance,
  { key: found, deed }: Pick<Finding, 'key' | 'deed'>,
): boolean {
  return (
    deed !== undefined &&
    found === key &&
    deed.branchKey === branchKey &&
    deed.took === took &&
    isStill(decision ?? 'none', deed.decision) &&
    // What was recorded later was done later, and nobody has looked at it.
    (deed.at === undefined || deed.at <= at)
  );
}

/** A decision cannot change; it can be purged, or not be readable just now. */
const isStill = (then: Decision | 'none', now: Deed['decision']): boolean =>
  then === now || (then !== 'none' && (now === 'none' || now === 'unreadable'));

/** Takes what was accepted in one database from the findings. The last step of a look. */
export async function setAcceptedAside(look: Look, { participant, pool }: Database): Promise<void> {
  for (const acceptance of await acceptancesOf(pool)) {
    const isCovered = (one: Finding): boolean => one.participant === participant && covers(acceptance, one);
    const covered = look.findings.filter(isCovered);
    if (covered.length === 0) continue;
    const { key, branchKey, transaction, branch, took, by, reason, at } = acceptance;
    const accepted: Accepted = {
      participant,
      key,
      branchKey,
      ...(transaction === undefined ? {} : { transaction }),
      ...(branch === undefined ? {} : { branch }),
      took,
      by,
      reason,
      at,
      kinds: [...new Set(covered.map(({ kind }) => kind))],
    };
    look.findings = look.findings.filter((one) => !isCovered(one));
    look.accepted.push(accepted);
    look.counts.accepted += 1;
    look.notes.push(tellAccepted(accepted));
  }
}

/** Such as `south-bank: book of transfer-4711: accepted by ann: entry 17. It amounts to abort (heuristic).` */
export function tellAccepted({ participant, key, branchKey, transaction, branch, ...accepted }: Accepted): string {
  const { by, reason, took, at, kinds } = accepted;
  const name = `${printable(branch ?? `branch ${branchKey}`)} of ${printable(transaction ?? `transaction ${key}`)}`;
  return (
    `${participant}: ${name}: accepted by ${printable(by)}: ${printable(reason)} ` +
    `(${at.toISOString()}; ${kinds.join(', ')}: it amounts to ${took})`
  );
}
