/**
 * One transaction of atomic commitment, whatever its protocol, from the first question to its report: the attempts that
 * contention takes, the caller's cancellation, what people see.
 */
import { CancellationScope, condition, log, metricMeter, patched, sleep } from '@temporalio/workflow';
import { METRICS } from '../observability';
import { AbortCode, idOfAttempt, outcomeOfBranches, parseTransactionId } from '../protocol';
import type {
  AbortCause,
  BranchId,
  CommitPhase,
  Decided,
  Decision,
  Reservation,
  SettledCommitReport,
  TransactionReport,
} from '../protocol';
import { post } from './board';
import { isOwn } from './branches';
import type { AnyBranch } from './branches';
import type { CommitSettings } from './commit-options';
import { membership } from './context';
import type { TransactionContext } from './context';
import { announce, openAnnouncement } from './decision';
import { openDesk } from './desk';
import { TransactionDefinitionError } from './errors';
import { goesOnWithWhatWasBegun } from './heritage';
import { isOwnMember, membersOf, reportOfMembers, voterOf } from './member';
import type { Member } from './member';
import { commitInOnePhase } from './one-phase';
import type { Phases } from './phases';
import { openBallot } from './votes';
import type { OpenBallot } from './votes';
import { admit } from './worker-circuits';

export class CommitRun {
  #members: readonly Member[];
  #ballot: OpenBallot['ballot'] | undefined;
  #phase: CommitPhase = 'preparing';
  #decided: Decided | undefined;
  #attempts = 1;
  #withdrawn = false;
  /** Where the only branch is asked, for as long as a cancellation can still come in time. */
  #asking: CancellationScope | undefined;
  /** Branches that are not ours, have approved, and were told nothing of an attempt that met contention: they are not asked again. */
  #approved: readonly BranchId[] = [];

  constructor(
    private readonly context: TransactionContext,
    private readonly branches: readonly (AnyBranch | Reservation)[],
    private readonly settings: CommitSettings,
    private readonly phases: Phases,
  ) {
    this.#members = membersOf(branches);
    const reserving = this.#members.find(({ branch }) => isOwn(branch) && branch.reserves);
    if (reserving && phases.protocol !== 'try-confirm-cancel')
      throw new TransactionDefinitionError(
        `Nothing was started: ${reserving.id} is a reservation, which is for tryConfirmCancel().`,
      );
  }

  /** @throws {TransactionNotAttempted} when it may fail fast, and somebody is away */
  async settle(): Promise<SettledCommitReport> {
    const group = membership();
    if (group && !this.#mayTravel()) await group.leave(`${this.phases.protocol} like this needs a workflow of its own`);
    // Before anything is waited for: an update that comes with the start is refused where its handler is not there by then.
    openDesk();
    openAnnouncement(this.context);
    let giveBack: (() => void) | undefined;
    // What was begun before is not refused: it may be decided.
    if (this.settings.failFast && !goesOnWithWhatWasBegun(this.context)) {
      const participants = this.#members.filter(isOwnMember).map(({ branch }) => branch.participant);
      giveBack = await this.context.beforehand(() => admit(participants));
    }
    this.#show();
    this.context.whenCancelled(() => this.#withdraw());
    try {
      for (;;) {
        const decided = await this.#attempt();
        if (!this.#mayTryAgain(decided) || this.#isLeftMixed()) return this.#end(decided);
        await this.#beginAgain();
      }
    } finally {
      giveBack?.();
    }
  }

  /**
   * Branches that are not ours, participants that are workflows, and whoever thinks it over, know the workflow by its id. A single
   * branch has no register that would stop a late question.
   */
  #mayTravel(): boolean {
    const { protocol } = this.phases;
    return (
      protocol !== 'three-phase-commit' &&
      this.settings.holdMs === undefined &&
      this.#members.length > 1 &&
      this.#members.every(isOwnMember)
    );
  }

  #withdraw(): void {
    this.#withdrawn = true;
    this.#asking?.cancel();
  }

  async #attempt(): Promise<Decided> {
    const context = this.#contextOfAttempt();
    const [only, another] = this.#members;
    if (this.phases.onePhase && only && !another) {
      const changed = (): void => this.#show();
      this.#asking = new CancellationScope({ cancellable: true, parent: CancellationScope.current() });
      const decide = (decided: Decided): void => this.#decide(decided);
      return commitInOnePhase(only, context, this.settings, {
        protocol: this.phases.protocol,
        asking: this.#asking,
        decide,
        changed,
      });
    }
    const voters = this.#members.map((member) => voterOf(member, this.phases.evidence));
    const box = openBallot(context.id, voters, () => this.#show());
    this.#ballot = box.ballot;
    for (const branch of this.#approved) box.ballot.answer(branch, { vote: 'commit' });
    try {
      return await this.phases.run({
        protocol: this.phases.protocol,
        context,
        box,
        members: this.#members,
        settings: this.settings,
        order: this.#attempts === 1 ? 'at once' : 'one after the other',
        withdrawn: () => this.#withdrawn,
        changed: () => this.#show(),
        enter: (phase) => this.#enter(phase),
        decided: (decided) => this.#decide(decided),
      });
    } finally {
      box.close();
    }
  }

  #enter(phase: CommitPhase): void {
    this.#phase = phase;
    this.#show();
  }

  #decide(decided: Decided): void {
    this.#decided = decided;
    this.#phase = decided.decision === 'commit' ? 'committing' : 'aborting';
    if (!this.#mayTryAgain(decided)) announce(this.context, decided);
    this.#show();
  }

  #mayTryAgain({ decision, reason }: Decided): boolean {
    const contention = decision === 'abort' && reason?.code === AbortCode.Contention;
    return contention && this.#attempts < this.settings.attempts;
  }

  /**
   * A person has let a branch stand that did otherwise than decided: another attempt would do a second time what it did. The version
   * before tried again even so, and what that did is replayed.
   */
  #isLeftMixed(): boolean {
    return this.#members.some(({ finish }) => finish.kind === 'skipped') && patched('temporal-txn-left-mixed');
  }

  /**
   * Another transaction held what this one needs, and perhaps the other way round, in two databases, where nobody detects a
   * deadlock: all is tried again, under an id of its own, because the old one is decided.
   */
  async #beginAgain(): Promise<void> {
    const pauseMs = Math.ceil(FIRST_PAUSE_MS * 2 ** Math.min(this.#attempts - 1, 5) * (0.5 + Math.random()));
    log.info('A transaction met contention and is tried again', { transaction: this.context.id, pauseMs });
    metricMeter.createCounter(METRICS.contention).add(1, { protocol: this.phases.protocol });
    const group = membership();
    if (group) await group.pause();
    else
      await Promise.race([
        sleep(pauseMs, { summary: 'pause before all is tried again' }),
        condition(() => this.#withdrawn),
      ]);
    // Withdrawn or not: an earlier run may have committed the next attempt, and only its register can tell.
    this.#approved = this.#members.filter((member) => this.#staysApproved(member)).map(({ id }) => id);
    this.#attempts++;
    this.#members = membersOf(this.branches);
    this.#ballot = undefined;
    this.#decided = undefined;
    this.#phase = 'preparing';
    this.#show();
  }

  #staysApproved({ id, branch }: Member): boolean {
    return !isOwn(branch) && branch.finish === 'none' && this.#ballot?.voteOf(id) === 'commit';
  }

  #contextOfAttempt(): TransactionContext {
    if (this.#attempts === 1) return this.context;
    return { ...this.context, id: parseTransactionId(idOfAttempt(this.context.id, this.#attempts)) };
  }

  #end(decided: Decided): SettledCommitReport {
    // Not yet said where another attempt might have followed.
    announce(this.context, decided);
    const base = this.#base();
    const outcome = outcomeOfBranches(decided.decision, base.branches);
    const report =
      outcome === 'committed'
        ? { ...base, outcome, decision: 'commit', results: this.#members.map(({ result }) => result?.value) }
        : outcome === 'aborted'
          ? { ...base, outcome, decision: 'abort', cause: this.#causeOf(decided) }
          : { ...base, outcome, decision: decided.decision, ...this.#causeIfAborted() };
    // Cast: its base has one protocol, and reports are told apart by that.
    post(report as TransactionReport, this.context);
    return report as SettledCommitReport;
  }

  #show(): void {
    const base = this.#base();
    const kinds = base.branches.map(({ finish }) => finish.kind);
    const outcome = kinds.includes('held') ? 'held' : kinds.includes('overdue') ? 'overdue' : this.#phase;
    const decision: Decision | undefined = this.#decided?.decision;
    const report = {
      ...base,
      outcome,
      ...(decision === undefined ? {} : { decision }),
      ...this.#causeIfAborted(),
    };
    post(report as TransactionReport, this.context); // Cast: as above.
  }

  #base() {
    return {
      id: this.context.id,
      protocol: this.phases.protocol,
      branches: reportOfMembers(this.#members, this.#ballot),
      attempts: this.#attempts,
    };
  }

  #causeIfAborted(): { readonly cause?: AbortCause } {
    return this.#decided?.decision === 'abort' ? { cause: this.#causeOf(this.#decided) } : {};
  }

  #causeOf({ reason = { code: AbortCode.Failed, message: 'No reason was kept.' } }: Decided): AbortCause {
    const branch = this.#ballot?.objector;
    return {
      kind: KINDS[reason.code] ?? 'refused',
      message: reason.message,
      reason,
      ...(branch === undefined ? {} : { branch }),
    };
  }
}

const FIRST_PAUSE_MS = 200;

/** Everything else is a business "no". */
const KINDS: Readonly<Record<string, AbortCause['kind']>> = {
  [AbortCode.Contention]: 'contention',
  [AbortCode.Fenced]: 'failed',
  [AbortCode.NotPreparable]: 'failed',
  [AbortCode.Failed]: 'failed',
  [AbortCode.DecidedBefore]: 'failed',
  [AbortCode.TimedOut]: 'timed-out',
  [AbortCode.Cancelled]: 'cancelled',
  [AbortCode.Recovered]: 'recovered',
};
