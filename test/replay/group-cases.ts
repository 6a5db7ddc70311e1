/** What is recorded of groups: how their members end, and who leaves. */
import type { GroupItem } from '../../src/protocol';
import type { BranchScript } from '../saga-more/scripted';

export interface GroupCase {
  /** Name of the file, and the id of the group. */
  readonly name: string;
  readonly workflow: 'runGroup';
  readonly type: string;
  /** Members whose transactions end in the ways that the name says. */
  readonly members: readonly (Pick<GroupItem, 'id'> & {
    readonly scripts?: Readonly<Record<string, BranchScript>>;
  })[];
}

/** What each member asks for. */
export const TRANSFER = {
  from: { bank: 'north-bank', account: 'alice' },
  to: { bank: 'south-bank', account: 'bob' },
  amount: 1050,
  currency: 'EUR',
};

const groupOf = (type: string, outcome: string, scripts: readonly GroupCase['members'][number]['scripts'][]) => ({
  name: `runGroup-${type}-${outcome}-committed`,
  workflow: 'runGroup' as const,
  type,
  members: scripts.map((script, n) => ({ id: `${type}-${outcome}-${n + 1}`, ...(script ? { scripts: script } : {}) })),
});

export const GROUP_CASES: readonly GroupCase[] = [
  groupOf('transferMoney', 'all', [undefined, undefined, undefined]),
  groupOf('transferMoneyAtomically', 'all', [undefined, undefined, undefined]),
  // One is refused by itself, one after its first step, one has to be asked again.
  groupOf('transferMoney', 'some', [
    undefined,
    { 'north-bank.debit': { execute: () => 'refuse' } },
    { 'south-bank.credit': { execute: () => 'refuse' } },
    { 'audit.record': { execute: (attempt) => (attempt === 1 ? 'fail' : 'answer') } },
  ]),
];
