/** docs/timeouts.md: every timeout with its default, who enforces it, what happens when it passes, and the test that shows it. */
import { DEFAULT_TIMEOUTS } from '../../src/protocol';

export const PAGE = 'docs/timeouts.md';

interface Row {
  readonly name: string;
  /** Undefined where nothing limits it by default. */
  readonly ms: number | undefined;
  /** Whether nobody can set it. */
  readonly fixed?: true;
  readonly by: 'PostgreSQL' | 'Temporal' | 'the worker' | 'the coordinator' | 'the participants' | 'recovery';
  readonly then: string;
  /** File, and a part of the title of the test that lets it pass. */
  readonly test: readonly [file: string, title: string];
}

const { local, silence, heartbeat, saga, commitment, threePhase, recovery, probe } = DEFAULT_TIMEOUTS;

export const SECTIONS: readonly { readonly title: string; readonly text: string; readonly rows: readonly Row[] }[] = [
  {
    title: 'At a participant',
    text: '`timeouts` of `runParticipant`. Each has to end before the one that waits for it; in any other order an attempt that everybody takes for dead could commit. The order, and that none is longer than 24 hours, is checked when the worker starts, and a coordinator that gives an attempt less time than PostgreSQL does is refused when it asks for new work. What was begun is finished, undone and asked about in any case: whoever comes next waits for the row of the branch.',
    rows: [
      {
        name: 'lockMs',
        ms: local.lockMs,
        by: 'PostgreSQL',
        then: 'the attempt is rolled back and tried again; in two-phase commit it votes `abort` with the code `contention`',
        test: ['test/branch-log/timeouts.test.ts', 'that waits for a row that another transaction has locked'],
      },
      {
        name: 'statementMs',
        ms: local.statementMs,
        by: 'PostgreSQL',
        then: 'the attempt is rolled back and tried again',
        test: ['test/branch-log/timeouts.test.ts', 'that runs longer than statementMs'],
      },
      {
        name: 'idleInTransactionMs',
        ms: local.idleInTransactionMs,
        by: 'PostgreSQL',
        then: 'the session of a worker that hangs is ended, and with it its locks',
        test: ['test/branch-log/timeouts.test.ts', 'is free after idleInTransactionMs'],
      },
      {
        name: 'startToCloseMs',
        ms: local.startToCloseMs,
        by: 'the worker',
        then: 'nothing: it is the longest attempt that the participant plans with, and has to be longer than the others. What ends an attempt is the `attemptTimeout` of who asks',
        test: ['test/branch-log/timeouts.test.ts', 'cannot be configured'],
      },
      {
        name: 'silence of the database',
        ms: silence.leastMs,
        by: 'the worker',
        then: `the connection is cut, and what waited for an answer on it is tried again on another one. Where \`startToCloseMs\` is longer, it is ${silence.afterAttemptMs / 1_000} s more than that; \`query_timeout\` of \`database\` sets it, and 0 is without limit`,
        test: ['test/worker/participant-pool.test.ts', 'costs that attempt alone, and not for ever'],
      },
      {
        name: 'heartbeat',
        ms: heartbeat.timeoutMs,
        fixed: true,
        by: 'Temporal',
        then: 'a worker that was killed is noticed, and the attempt is made elsewhere. Participants say every second that they are alive',
        test: ['test/end-to-end/faults.test.ts', 'has worked once when it is back'],
      },
    ],
  },
  {
    title: 'Sagas',
    text: 'Options of `saga()` and of its steps.',
    rows: [
      {
        name: 'timeout of a step',
        ms: saga.stepMs,
        by: 'Temporal',
        then: 'its participant is asked how it is; healthy, it is tried for as long once more; else its outcome is unknown, and `onUnknown` says what follows',
        test: ['test/resilience/probe.test.ts', 'is given up when it does not answer at all'],
      },
      {
        name: 'attemptTimeout',
        ms: local.startToCloseMs,
        by: 'Temporal',
        then: 'the attempt counts as lost; the next one finds in the branch log what it did',
        test: ['test/saga/unknown-outcome.test.ts', 'of a step that did take effect is undone'],
      },
      {
        name: 'timeout of the saga',
        ms: undefined,
        by: 'the coordinator',
        then: 'it is undone, unless its pivot is done or being done',
        test: ['test/saga/cancellation.test.ts', 'before the pivot undoes the saga'],
      },
      {
        name: 'holdAfter',
        ms: saga.holdAfterMs,
        by: 'the coordinator',
        then: 'a person is told; it goes on being tried. Where `attemptTimeout` is longer, after that: an attempt is not cut short',
        test: ['test/saga/held.test.ts', 'held'],
      },
    ],
  },
  {
    title: 'Two-phase commit, three-phase commit, try-confirm-cancel',
    text: '`timeouts` of the options. In try-confirm-cancel they are called `try`, `confirm` and `cancel`; `hold.limit` is an option by itself. An attempt has to be shorter than the vote, which is checked when the transaction starts.',
    rows: [
      {
        name: 'prepare',
        ms: commitment.prepareMs,
        by: 'Temporal',
        then: 'in two-phase commit and try-confirm-cancel the participant is asked how it is, and for its vote once more if it is healthy; else silence counts as `abort`',
        test: ['test/two-phase-commit/timeouts.test.ts', 'counts as an abort after the prepare timeout'],
      },
      {
        name: 'commit',
        ms: commitment.commitMs,
        by: 'the coordinator',
        then: 'it is reported as overdue, and goes on being tried',
        test: ['test/two-phase-commit/timeouts.test.ts', 'is tried for hours'],
      },
      {
        name: 'abort',
        ms: commitment.abortMs,
        by: 'the coordinator',
        then: 'the same',
        test: ['test/two-phase-commit/timeouts.test.ts', 'a branch that does not abort'],
      },
      {
        name: 'hold.limit',
        ms: undefined,
        by: 'the coordinator',
        then: 'what is reserved and not taken is cancelled. A hold has to have one',
        test: ['test/try-confirm-cancel/coordinator-hold.test.ts', 'ends by itself: everything is cancelled'],
      },
      {
        name: 'preCommit',
        ms: threePhase.preCommitMs,
        by: 'the coordinator',
        then: 'it decides without the acknowledgements that lack',
        test: [
          'test/three-phase-commit/outcomes.test.ts',
          'does not wait for the last acknowledgement of a pre-commit',
        ],
      },
      {
        name: 'uncertain',
        ms: 2 * commitment.prepareMs,
        by: 'the participants',
        then: 'one that has voted asks the others: the termination protocol',
        test: ['test/three-phase-commit/away.test.ts', 'all their timers fire together'],
      },
      {
        name: 'preCommitted',
        ms: 2 * threePhase.preCommitMs,
        by: 'the participants',
        then: 'the same for one that is pre-committed',
        test: ['test/three-phase-commit/away.test.ts', 'all their timers fire together'],
      },
      {
        name: 'peers',
        ms: threePhase.peersMs,
        by: 'the participants',
        then: 'it goes on with the answers that it has',
        test: ['test/three-phase-commit/away.test.ts', 'A participant that was away asks the register'],
      },
    ],
  },
  {
    title: 'When something went wrong',
    text: 'What falls silent is asked how it is; what is left lying is finished by recovery (`recovery` of `runParticipant`).',
    rows: [
      {
        name: 'answer to a probe',
        ms: probe.answerMs,
        fixed: true,
        by: 'Temporal',
        then: `it is asked again, ${probe.pausesMs.length} times in all, after ${probe.pausesMs
          .slice(1)
          .map((ms) => `${ms / 1_000} s`)
          .join(' and ')}`,
        test: ['test/resilience/probe.test.ts', 'the pauses between the questions'],
      },
      {
        name: 'recovery.graceMs',
        ms: recovery.graceMs,
        by: 'recovery',
        then: 'a branch whose coordinator is gone is aborted, or does what was decided',
        test: [
          'test/end-to-end/two-phase-faults.test.ts',
          'aborts what a terminated or deleted coordinator left undecided',
        ],
      },
      {
        name: 'recovery.hardLimitMs',
        ms: recovery.hardLimitMs,
        by: 'recovery',
        then: 'an undecided branch is aborted although its coordinator seems to run',
        test: ['test/protocol/in-doubt.test.ts', 'running beyond the limit'],
      },
      {
        name: 'recovery.everyMs',
        ms: recovery.everyMs,
        by: 'recovery',
        then: 'it looks again',
        test: ['test/prepared/recovery-watch.test.ts', 'ends with what is new'],
      },
    ],
  },
];

const INTRODUCTION = `# Timeouts

<!-- Written by \`npm run timeouts:page\` from src/protocol/timeouts.ts and test/timeouts/page.ts. -->

No timeout decides about money: what passes makes something be tried again, be asked, or be told. What a transaction did is always read from rows. The defaults are in
\`DEFAULT_TIMEOUTS\`. What is fixed cannot be set. Any other that is negative, no number, of an unknown unit, zero where that is not said to be without limit, or too long, which is more than 30 days and at a participant more than 24 hours,
is refused with the name of the field, before what it is for is started: the worker, the transaction, or the step of a saga. A transaction that runs is not refused what a version before took.
`;

const told = (ms: number): string =>
  ms % 3_600_000 === 0
    ? `${ms / 3_600_000} h`
    : ms % 60_000 === 0 && ms > 60_000
      ? `${ms / 60_000} min`
      : `${ms / 1_000} s`;

export const writePage = (): string =>
  [
    INTRODUCTION,
    ...SECTIONS.flatMap(({ title, text, rows }) => [
      `## ${title}`,
      '',
      text,
      '',
      '| timeout | default | enforced by | when it passes | shown by |',
      '| --- | --- | --- | --- | --- |',
      ...rows.map(
        ({ name, ms, fixed, by, then, test: [file] }) =>
          `| \`${name}\` | ${ms === undefined ? 'none' : told(ms)}${fixed ? ', fixed' : ''} | ${by} | ${then} | \`${file}\` |`,
      ),
      '',
    ]),
  ].join('\n');
