/** What the shipped three-phase commit is explored under, and how much has to be seen there. */
import type { Sight } from './sights';
import type { Circumstances } from './world';

export interface Configuration extends Circumstances {
  readonly name: string;
  /** An exploration of less has not tried what it should. */
  readonly states: number;
  readonly sees: readonly Sight[];
}

/** With a limit beyond which the classic rule does not hold. */
export interface Limit extends Circumstances {
  readonly name: string;
  readonly because: string;
}

const REGISTER = { mode: 'register', network: 'asynchronous' } as const;
const CLASSIC = { mode: 'classic-unsafe', network: 'synchronous' } as const;
const ANYTHING = ['abort', 'unknown', 'read-only'] as const;

const ALWAYS: readonly Sight[] = [
  'all commit',
  'all abort',
  'two terminate at once',
  'all timers have fired at once',
  'the coordinator is gone and has told some to pre-commit',
];

export const CONFIGURATIONS: readonly Configuration[] = [
  { ...REGISTER, name: 'register; two participants', participants: 2, states: 3_000, sees: ALWAYS },
  {
    ...REGISTER,
    name: 'register; two participants; resets, a register that fails, recovery at work, activities that run twice',
    participants: 2,
    refusals: ANYTHING,
    completions: 'may be lost',
    resets: 'at any time',
    register: 'fails for a while',
    recovery: 'at work',
    states: 70_000,
    sees: [...ALWAYS, 'the register is needed and cannot be reached'],
  },
  {
    ...REGISTER,
    name: 'register; two participants; participants are reset',
    participants: 2,
    // One that only reads has nothing that it could do otherwise the second time.
    refusals: ['abort', 'unknown'],
    completions: 'may be lost',
    resets: 'at any time',
    restarts: 'at any time',
    register: 'fails for a while',
    states: 500_000,
    sees: ALWAYS,
  },
  { ...REGISTER, name: 'register; three participants', participants: 3, states: 200_000, sees: ALWAYS },
  ...([2, 3] as const).flatMap((participants): readonly Configuration[] => [
    {
      ...CLASSIC,
      name: `classic; ${participants} participants; the coordinator crashes`,
      participants,
      refusals: ANYTHING,
      states: participants === 2 ? 400 : 9_000,
      sees: ALWAYS,
    },
    {
      ...CLASSIC,
      name: `classic; ${participants} participants; the coordinator crashes, and a participant`,
      participants,
      refusals: ANYTHING,
      crashes: 1,
      states: participants === 2 ? 2_500 : 100_000,
      sees: [...ALWAYS, 'nothing is left to do but for those who are down'],
    },
  ]),
];

/** The largest one, which tells nothing that the others do not: with `npm run test:campaign`. */
export const LARGE: readonly Configuration[] = [
  {
    ...REGISTER,
    name: 'register; three participants; resets, activities that run twice',
    participants: 3,
    refusals: ANYTHING,
    completions: 'may be lost',
    resets: 'at any time',
    states: 1_000_000,
    sees: ALWAYS,
  },
];

/** In each of them the classic rule commits one branch and aborts another. */
export const LIMITS: readonly Limit[] = ([2, 3] as const).flatMap((participants): readonly Limit[] => {
  const classic = { ...CLASSIC, participants, refusals: [] };
  return [
    {
      ...classic,
      name: 'The network is cut',
      because: 'Whoever does not answer is taken for crashed, and has decided otherwise on its side of the cut.',
      cuts: 1,
    },
    {
      ...classic,
      name: 'A timer fires, and what it waited for still comes',
      because:
        'A message that is late, or a timer that fires late with others after an outage: the coordinator goes on, and those who waited have decided without it. Nobody crashes, and nothing is lost.',
      late: 1,
    },
    {
      ...classic,
      name: 'Timers do not outlast what is under way to others, and a participant crashes',
      because:
        'One learns that all can commit just after it told another that it is uncertain. The other has aborted, and cannot say so.',
      timersOutlast: 'its own messages',
      crashes: 1,
    },
    {
      ...classic,
      name: 'A participant comes back when the others have left',
      because:
        'Those who have ended answer for a while and no longer. Whoever was down for longer asks nobody any more.',
      ended: 'have left',
      crashes: 1,
    },
    {
      ...classic,
      name: 'Two participants crash',
      because: 'Who comes back asks, and those who know what was decided are down.',
      crashes: 2,
    },
  ];
});
