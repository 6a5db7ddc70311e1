/**
 * The recovery of one participant: finishes what is prepared there and nobody finishes. One workflow a participant, on the
 * participant's own task queue, started by its worker; it needs no coordinator.
 *
 * It never guesses: the register says what becomes of a branch, and where it says nothing yet, recovery proposes `abort` and
 * obeys. What it cannot prove it shows, and asks again from time to time.
 *
 * @see Mohan, Lindsay, Obermarck: R*, 1986, section 2.2: presumed abort; here the presumption is written down before it is used
 */
import type { SearchAttributeUpdatePair } from '@temporalio/common';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import {
  ActivityCancellationType,
  CancellationScope,
  continueAsNew,
  defineQuery,
  defineSignal,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { DEFAULT_TIMEOUTS, judge } from '../protocol';
import type { Ack, Decided, Decision, InDoubt, Patience } from '../protocol';
import { isTimeToBeginAnew } from './begin-anew';
import { messageOf } from './failures';
import { cell, table } from './markdown';
import { INSISTENT_RETRY } from './options';
import { perWorkflow } from './per-workflow';

export interface RecoveryOptions {
  /** The participant: its name, which is also the task queue. */
  readonly participant: string;
  /** How long a prepared branch is left to its coordinator, in milliseconds. @default 30000 */
  readonly graceMs?: number;
  /** From when on a branch without a decision is aborted although its coordinator seems to run, in milliseconds. @default one hour */
  readonly hardLimitMs?: number;
  /** Pause between two looks at the database, in milliseconds. @default 5000 */
  readonly everyMs?: number;
}

/** A branch that recovery has looked at and not finished. */
export interface WaitingBranch {
  readonly gid: string;
  readonly transaction?: string;
  readonly branch?: string;
  readonly register: string;
  readonly ageMs: number;
  /** `held`: a person has to look. */
  readonly state: 'left' | 'held';
  readonly because: string;
}

export interface RecoveryReport {
  readonly participant: string;
  /** Since the workflow's current run began. */
  readonly settled: number;
  readonly waiting: readonly WaitingBranch[];
  /** Prepared transactions of others in the same database, which are left alone. */
  readonly foreign: number;
  readonly slots: { readonly used: number; readonly limit: number };
}

/** What recovery has found. */
export const recoveryQuery = defineQuery<RecoveryReport>('recovery');

/** A worker of the participant has started: whoever watched may be dead, and nobody would notice for half a minute. */
const lookSignal = defineSignal<[unknown]>('look');

interface Found {
  readonly gid: string;
  readonly key: string;
  readonly register: string;
  readonly ageMs: number;
  readonly prepared: boolean;
  readonly owned: boolean;
  readonly preCommitted: boolean;
  readonly reserved?: true;
  readonly transaction?: string;
  readonly branch?: string;
  /** Hash of the transaction's input: a decision about another one under the same id is not about this branch. */
  readonly request?: string;
  readonly namespace?: string;
  readonly namespaceId?: string;
  readonly workflowId?: string;
}

/** A reservation of try-confirm-cancel that nobody ends. */
interface FoundReservation {
  readonly transaction: string;
  readonly branch: string;
  readonly key: string;
  readonly register: string;
  readonly ageMs: number;
  readonly request?: string;
  readonly namespace?: string;
  readonly namespaceId?: string;
  readonly workflowId?: string;
}

interface Survey {
  readonly overdue: readonly Found[];
  /** Absent where the worker is older than this workflow's. */
  readonly reservations?: readonly FoundReservation[];
  readonly foreign: readonly unknown[];
  readonly slots: RecoveryReport['slots'];
}

interface WatchRequest {
  readonly graceMs: number;
  readonly everyMs: number;
  readonly forMs: number;
  readonly known: readonly string[];
}

interface Questions {
  readonly 'recovery.watch': (request: WatchRequest) => Promise<Survey>;
  readonly 'recovery.coordinator': (request: object) => Promise<InDoubt['coordinator']>;
  readonly 'recovery.settle': (request: object) => Promise<Ack>;
  readonly 'recovery.settleReservation': (request: object) => Promise<Ack>;
  readonly 'recovery.read': (request: object) => Promise<Decision | 'none'>;
  readonly 'recovery.decide': (request: object) => Promise<Decided>;
}

/** An activity that watches for minutes costs what a moment's look costs. */
const WATCH_MS = 10 * 60 * 1000;
/** What waits is looked at again after so many of the usual pauses. */
const AGAIN = 6;
/** So many branches are settled side by side. */
const AT_ONCE = 20;

export async function recoverParticipant(options: RecoveryOptions): Promise<never> {
  const { participant } = options;
  let settings = options;
  const waiting = new Map<string, WaitingBranch>();
  let report: RecoveryReport = { participant, settled: 0, waiting: [], foreign: 0, slots: { used: 0, limit: 0 } };
  setHandler(recoveryQuery, () => report, {
    description: 'What is in doubt at this participant, and why it is not settled',
  });
  let watching = new CancellationScope();
  let asked = false;
  setHandler(
    lookSignal,
    (given) => {
      // The settings of the worker that started last: it may have been deployed with others.
      if (isSettings(given, participant)) settings = given;
      asked = true;
      watching.cancel();
    },
    { description: 'Look at the database now. Sent by each worker that starts' },
  );
  show(report);
  while (!isTimeToBeginAnew()) {
    const { graceMs, hardLimitMs, everyMs } = { ...DEFAULT_TIMEOUTS.recovery, ...settings };
    const known = asked ? [] : [...waiting.keys()];
    asked = false;
    watching = new CancellationScope();
    const found = await watching
      .run(() => watch(participant, { graceMs, everyMs, known, forMs: patienceWith(known, everyMs) }))
      .catch((error: unknown) => {
        // A person who cancels the recovery itself ends it, until the next worker starts it again.
        if (isCancellation(error) && !CancellationScope.current().consideredCancelled) return undefined;
        throw error;
      });
    if (found === undefined) continue;
    waiting.clear();
    let settled = 0;
    const overdue = [...found.overdue, ...(found.reservations ?? []).map(asFound)];
    // What one look finds can be more than one history holds: the next run looks again.
    for (let at = 0; at < overdue.length && !workflowInfo().continueAsNewSuggested; at += AT_ONCE) {
      const round = overdue.slice(at, at + AT_ONCE);
      const left = await Promise.all(round.map((branch) => settle(participant, branch, { graceMs, hardLimitMs })));
      for (const branch of left) if (branch) waiting.set(branch.gid, branch);
      settled += left.filter((branch) => branch === undefined).length;
    }
    report = {
      ...report,
      settled: report.settled + settled,
      waiting: [...waiting.values()],
      foreign: found.foreign.length,
      slots: found.slots,
    };
    show(report);
  }
  return continueAsNew<typeof recoverParticipant>(settings);
}

/**
 * What is only reserved holds no lock and no slot, and nobody but its coordinator can be waiting for it: it is settled like what
 * is prepared, and never because of its age alone.
 */
const asFound = (reservation: FoundReservation): Found => ({
  ...reservation,
  gid: `${reservation.transaction} ${reservation.branch}`,
  prepared: false,
  owned: true,
  preCommitted: false,
  reserved: true,
});

const patienceWith = (known: readonly string[], everyMs: number): number =>
  known.length > 0 ? Math.min(everyMs * AGAIN, WATCH_MS) : WATCH_MS;

const isSettings = (given: unknown, participant: string): given is RecoveryOptions =>
  typeof given === 'object' && given !== null && 'participant' in given && given.participant === participant;

const watch = (participant: string, request: WatchRequest): Promise<Survey> =>
  proxyActivities<Questions>({
    taskQueue: participant,
    startToCloseTimeout: request.forMs + 60_000,
    heartbeatTimeout: '30 seconds',
    // It only looks, and may be on a dead worker.
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: INSISTENT_RETRY,
    summary: `at ${participant}`,
  })['recovery.watch'](request);

/** One question, given up soon: what does not answer now is asked again with the next look. */
const at = (participant: string): Questions =>
  proxyActivities<Questions>({
    taskQueue: participant,
    startToCloseTimeout: '10 seconds',
    scheduleToCloseTimeout: '20 seconds',
    heartbeatTimeout: '5 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: INSISTENT_RETRY,
    summary: `at ${participant}`,
  });

/** Settles one branch. Undefined when it is finished, and otherwise why it is not. */
async function settle(participant: string, found: Found, patience: Patience): Promise<WaitingBranch | undefined> {
  const own = at(participant);
  const { gid, register } = found;
  try {
    const known = await factsOf(participant, found);
    const { act, because } = judge(known, patience);
    if (act.kind === 'leave' || act.kind === 'hold')
      return waits(found, act.kind === 'hold' ? 'held' : 'left', because);
    const decision =
      act.kind === 'apply'
        ? act.decision
        : (await at(register)['recovery.decide'](proposalFor(found, act.propose))).decision;
    const { transaction, branch, reserved } = found;
    const ack = await (reserved
      ? own['recovery.settleReservation']({ transaction, branch, decision })
      : own['recovery.settle']({ gid, transaction, branch, decision }));
    if (ack.kind === 'applied' || (ack.kind === 'foreign' && decision === 'abort')) return undefined;
    return waits(found, 'held', `The decision is ${decision}. ${ack.evidence}`);
  } catch (error) {
    return waits(found, 'left', messageOf(error));
  }
}

const proposalFor = ({ key, transaction, request }: Found, propose: Decision) => ({
  propose,
  ...(transaction === undefined ? { key } : { transaction }),
  ...(request === undefined ? {} : { request }),
});

async function factsOf(participant: string, found: Found): Promise<InDoubt> {
  const { ageMs, prepared, owned, preCommitted, key, request, transaction, ...caller } = found;
  const { namespace, namespaceId, workflowId } = caller;
  const { 'recovery.read': read } = at(found.register);
  const register = await read({ key, ...(request === undefined ? {} : { request }) }).catch(
    () => 'unreadable' as const,
  );
  const coordinator =
    register === 'none'
      ? await at(participant)['recovery.coordinator']({ namespace, namespaceId, workflowId, transaction })
      : 'unknown';
  return { ageMs, prepared, owned, preCommitted, register, coordinator };
}

const waits = (
  { gid, transaction, branch, register, ageMs }: Found,
  state: WaitingBranch['state'],
  because: string,
): WaitingBranch => ({
  gid,
  ...(transaction === undefined ? {} : { transaction }),
  ...(branch === undefined ? {} : { branch }),
  register,
  ageMs,
  state,
  because,
});

const KEYS = {
  status: defineSearchAttributeKey('TxnStatus', SearchAttributeType.KEYWORD),
  needsAttention: defineSearchAttributeKey('TxnNeedsAttention', SearchAttributeType.BOOL),
};

const shown = perWorkflow<{ attention?: boolean }>(() => ({}));

function show(report: RecoveryReport): void {
  setCurrentDetails(detailsOf(report));
  const needed = report.waiting.some(({ state }) => state === 'held');
  // An earlier run of this workflow may have shown what is true no more.
  const state = shown();
  state.attention ??= workflowInfo().typedSearchAttributes.get(KEYS.needsAttention) === true;
  if (needed === state.attention) return;
  state.attention = needed;
  const pairs: SearchAttributeUpdatePair[] = [
    { key: KEYS.status, value: needed ? 'held' : null },
    { key: KEYS.needsAttention, value: needed },
  ];
  upsertSearchAttributes(pairs);
}

/** The page takes its text from its address, and addresses have an end. */
const MOST_ROWS = 20;

function detailsOf({ participant, settled, waiting, foreign, slots }: RecoveryReport): string {
  const rows = [...waiting].sort((a, b) => (a.state < b.state ? -1 : 1)).slice(0, MOST_ROWS);
  // It hears of slots with what it finds, so that a quiet database costs nothing.
  const inUse = slots.limit === 0 ? '' : ` Slots for prepared transactions in use: ${slots.used} of ${slots.limit}.`;
  return [
    `**Recovery of ${participant}**`,
    '',
    `Settled since this run began: ${settled}. Waiting: ${waiting.length}.${inUse} Of others, left alone: ${foreign}.`,
    ...(rows.length === 0
      ? []
      : [
          '',
          ...table(['transaction', 'branch', 'age', 'state'], rows.map(row)),
          '',
          '```',
          'temporal-txn in-doubt',
          '```',
        ]),
  ].join('\n');
}

const row = ({ transaction, gid, branch, ageMs, state, because }: WaitingBranch): string[] => [
  transaction ?? gid,
  branch ?? '?',
  `${Math.round(ageMs / 1000)} s`,
  cell(`${state}: ${because}`),
];
