/** What a person needs to know of two-phase commit, three-phase commit and try-confirm-cancel. */
import { idInDatabases } from '../../protocol';
import type { BranchReport, FinishFate, SagaReport, TransactionReport } from '../../protocol';
import { printable } from '../printable';
import { NOTHING_KNOWN, causeOf, mixed, rulingCommand, well } from './verdict-words';
import type { Found, Verdict } from './verdict-words';

/** @param found where it was found */
export function judgeCommit(found: Found, report: Exclude<TransactionReport, SagaReport>): Verdict {
  const { branches, decision } = report;
  const cause = causeOf(report);
  switch (report.outcome) {
    case 'committed':
      return well(
        'Your money is safe: it is committed, every branch took effect.',
        'All branches voted commit, and all have followed the decision.',
      );
    case 'aborted':
      return well('Your money is safe: it is aborted, nothing took effect.', `It is decided abort because: ${cause}.`);
    case 'mixed': {
      const stays = branches.flatMap(({ branch, finish }) =>
        finish.kind === 'skipped'
          ? [`${printable(branch)} was left as it is by ${printable(finish.by)}: ${printable(finish.reason)}`]
          : [],
      );
      const { accepted, findings } = found.databases;
      if (accepted.length > 0 && findings.length === 0)
        return well(
          `It ended mixed, and that is accepted: ${stays.join('; ')}.`,
          `It is accepted by ${accepted.map(({ by }) => printable(by)).join(', ')}.`,
        );
      return mixed(stays, cause);
    }
    case 'held':
      return heldCommit(found.id, report);
    case 'overdue': {
      const late = branches.filter(({ finish }) => finish.kind === 'overdue');
      const names = late
        .map(
          ({ branch, participant }) => `${printable(branch)}${participant === undefined ? '' : ` at ${participant}`}`,
        )
        .join(', ');
      return {
        need: 'person',
        first: `Somebody has to look: ${decision === undefined ? 'the register does not answer' : `it is decided ${decision}, and ${names} has not followed in time`}. Your money is safe: the decision cannot change.`,
        why:
          late.map(({ branch, finish }) => `${printable(branch)}: ${failureIn(finish)}`).join('. ') ||
          'It takes longer than its timeout.',
        byItself: 'It goes on being tried, and ends by itself as soon as the participant answers.',
        toDo: [
          `Bring ${[...new Set(late.flatMap(({ participant }) => participant ?? []))].join(', ') || 'the participant'} back: its database and its worker.`,
        ],
      };
    }
    case 'reserved':
      return {
        need: 'nobody',
        first:
          'Nothing needs a person: everything is reserved, and waits for its caller to confirm or cancel. Your money is safe.',
        why: 'All tries have succeeded, and the caller has not yet said whether it is wanted.',
        byItself: 'When the hold ends without an answer, everything is given back.',
        toDo: [],
      };
    case 'preparing':
    case 'pre-committing':
    case 'deciding':
    case 'committing':
    case 'aborting':
      return {
        need: 'nobody',
        first: `Nothing needs a person: it is ${report.outcome}. Your money is safe: all branches get the same decision.`,
        why: undecided(branches, decision),
        byItself:
          decision === undefined
            ? 'When a vote does not come in time, it is aborted.'
            : `Every branch gets the decision ${decision}, and that is tried until it has.`,
        toDo: [],
      };
  }
}

function undecided(branches: readonly BranchReport[], decision: string | undefined): string {
  if (decision !== undefined) return `It is decided ${decision}.`;
  const silent = branches.filter(({ vote }) => vote === 'none').map(({ branch }) => printable(branch));
  return silent.length === 0 ? 'All branches have voted.' : `It waits for the vote of ${silent.join(', ')}.`;
}

const failureIn = (fate: FinishFate): string => ('cause' in fate ? printable(fate.cause) : '');

function heldCommit(id: string, report: Exclude<TransactionReport, SagaReport>): Verdict {
  const { branches, decision, id: transaction } = report;
  const held = branches.filter(({ finish }) => finish.kind === 'held');
  const [first] = held;
  if (first === undefined) return NOTHING_KNOWN;
  const command = (verb: 'retry' | 'skip'): string => rulingCommand(verb, id, transaction, first.branch);
  return {
    need: 'person',
    first: `Somebody has to look: it is decided ${decision ?? 'nothing'}, and ${printable(first.branch)}${first.participant === undefined ? '' : ` at ${first.participant}`} did otherwise, or nobody knows what it did.`,
    why: held.map(({ branch, finish }) => `${printable(branch)}: ${failureIn(finish)}`).join('. '),
    byItself: 'Nothing: no program may guess what is right here. The other branches follow the decision.',
    toDo: [
      `Look: temporal-txn resolve ${idInDatabases(report)} --by <you> --reason <why>`,
      `Make the business data of ${first.participant ?? 'the branch'} what the decision says, then: ${command('retry')}`,
      `Or let it stand, and the outcome is mixed: ${command('skip')}`,
    ],
  };
}
