/** What the shipped protocol is explored under. Together far more than three million states. */
import type { Circumstances } from './world';

export interface Configuration extends Circumstances {
  readonly name: string;
}

const TWO = ['ordinary', 'ordinary'] as const;

export const CONFIGURATIONS: readonly Configuration[] = [
  {
    name: 'two branches; recovery gives up on a coordinator that is running',
    branches: TWO,
    faults: 0,
    moods: 1,
    recovery: 'impatient',
    terminations: 1,
    votes: 'answer',
  },
  { name: 'two branches; two faults; recovery is down', branches: TWO, faults: 2, moods: 1, recovery: 'down' },
  {
    name: 'an external branch; somebody forges a vote; one fault',
    branches: ['ordinary', 'external'],
    faults: 1,
    forgeries: 1,
  },
  {
    name: 'two branches; somebody forges a vote with the right token; recovery is down',
    branches: TWO,
    faults: 1,
    forgeries: 1,
    moods: 1,
    recovery: 'down',
  },
  { name: 'three branches', branches: [...TWO, 'ordinary'], faults: 0, votes: 'answer' },
  {
    name: 'two branches; a failover or a person finishes one; one fault',
    branches: TWO,
    faults: 1,
    hands: 1,
    votes: 'answer',
  },
  {
    name: 'an external branch; the coordinator is reset; somebody forges a vote; recovery is down',
    branches: ['ordinary', 'external'],
    faults: 0,
    resets: 1,
    forgeries: 1,
    recovery: 'down',
  },
  {
    // After a reset nobody may know any more that a branch only read, and then it is told to commit.
    name: 'one branch only reads; the coordinator is reset; one fault',
    branches: ['ordinary', 'read-only'],
    faults: 1,
    resets: 1,
    votes: 'answer',
  },
];

/** The largest ones, which tell nothing that those do not: with `npm run test:campaign`. */
export const LARGE: readonly Configuration[] = [
  {
    name: 'two branches; the coordinator is terminated; one fault',
    branches: TWO,
    faults: 1,
    terminations: 1,
    votes: 'answer',
  },
  { name: 'two branches; one refuses, or swallows an error; one fault', branches: TWO, faults: 1, moods: 1 },
  {
    name: 'two branches; the coordinator is reset; one fault; recovery is down',
    branches: TWO,
    faults: 1,
    resets: 1,
    votes: 'answer',
    recovery: 'down',
  },
  {
    name: 'three branches, of which one only reads; one fault',
    branches: [...TWO, 'read-only'],
    faults: 1,
    votes: 'answer',
  },
];
