/**
 * One saga from its first step to its report. Forward: each step is journalled, run, and settled. Back: once every step that
 * began has ended, what may have happened is undone, the last first.
 */
import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  ContinueAsNew,
  isCancellation,
  log,
  patched,
  workflowInfo,
} from '@temporalio/workflow';
import {
  asksTheSame,
  DEFAULT_TIMEOUTS,
  FailureType,
  isGivenUp,
  needsAttention,
  outcomeOf,
  parseBranchId,
  provesNothingToUndo,
  SagaJournal,
} from '../protocol';
import type {
  AskedFor,
  AskedStep,
  BranchOperation,
  CompensationFate,
  SagaCause,
  SagaReport,
  SettledSagaReport,
  Step,
  StepFate,
  StepRole,
} from '../protocol';
import { actionOf, nameOf, refused } from './action';
import type { Runnable } from './action';
import { alarm } from './alarm';
import { beginningOf, post } from './board';
import { UntimedScope } from './cancellation';
import { checkSaga, checkStep, inputOf } from './check-saga';
import { withoutOthers } from './committed-here';
import { membership, onRecordInGroup } from './context';
import type { TransactionContext } from './context';
import { openDesk } from './desk';
import { SagaDefinitionError } from './errors';
import { failTask } from './fail-task';
import { firstOf, isFailure, messageOf, refusalOf } from './failures';
import { checkFormerRuns, Inherited, isNew, mayHaveCommittedHere, tellAsked, wasReset } from './heritage';
import { DEFAULT_HOLD_AFTER, INSISTENT_RETRY, settingsOf } from './options';
import type { SagaOptions, StepOptions } from './options';
import { misplacement } from './placement';
import type { Saga } from './saga';
import { failedStep, stepAfter, unnoted } from './step-promise';
import type { StepPromise } from './step-promise';
import { StepRunner } from './step-runner';
import type { RunningStep } from './step-runner';
import { isStrict } from './strict';

/** A history has room for more, but a screen has not. */
const MOST_STEPS = 500;

export class SagaRun {
  readonly #journal = new SagaJournal();
  readonly #running = new Map<Step, RunningStep>();
  /** What the body has been given for each step. */
  readonly #told = new Map<Step, StepPromise<unknown>>();
  readonly #failedAt = new WeakMap<object, Step>();
  readonly #failures: StepFailure[] = [];
  #bodyEnded = false;
  /** Shielded from the scope around it: whether a cancellation still counts depends on the pivot, so it is passed on by hand. */
  readonly #scope: CancellationScope;
  readonly #runner: StepRunner;
  #phase: 'forward' | 'completing' | 'unwinding' = 'forward';
  #cause: SagaCause | undefined;
  /** A cancellation came while it was not known whether there is a way back: it counts if there is. */
  #turnsBackLater = false;
  #timedOut = false;
  readonly #inherited: Inherited;
  /** By another one of this id, in this workflow. */
  readonly #mayHaveCommitted: boolean;

  constructor(
    private readonly context: TransactionContext,
    private readonly options: SagaOptions,
  ) {
    this.#inherited = new Inherited(context.heritage);
    this.#mayHaveCommitted = !membership() && mayHaveCommittedHere(context.id);
    this.#scope = new UntimedScope({ cancellable: true, parent: CancellationScope.current() });
    this.#runner = new StepRunner({
      transaction: context.id,
      journal: this.#journal,
      holdAfter: options.holdAfter ?? DEFAULT_HOLD_AFTER,
      changed: () => this.#show(),
      met: (answer) => {
        if (!context.named) checkFormerRuns(context.id, answer);
        this.#inherited.met(answer);
      },
      failed: (step, error) => {
        if (typeof error === 'object' && error !== null) this.#failedAt.set(error, step);
        this.#failures.push({ error, isLate: this.#bodyEnded, told: () => this.#told.get(step) });
      },
      onRecord,
    });
  }

  /**
   * To be called where no cancellation comes; who hears of one calls {@link turnBack}. What goes well takes few promises: Temporal notes each
   * with its stack, and many sagas in one workflow feel each turn that they do not take.
   */
  async settle<R>(body: (s: Saga) => Promise<R>): Promise<SettledSagaReport<R>> {
    checkSaga(this.options);
    openDesk();
    if (!membership()) {
      if (this.context.id === workflowInfo().workflowId)
        // What there is to undo may be known by now.
        this.#inherited.listen(() => this.#turnBackAfterAll());
      tellAsked(this.context.id, () => this.#askedFor());
    }
    this.#show();
    if (this.#inherited.undo && !this.#decidedBefore())
      return this.#unwind(
        new CancelledFailure('The transaction was being undone, or had been, before this run began.'),
      );
    let result: R;
    try {
      const watch = this.#startTimer();
      try {
        result = await this.#scope.run(() => body(this.#steps()));
        this.#bodyEnded = true;
        // A step that the body did not wait for is part of the saga all the same.
        if (!this.#allEnded || this.context.inside?.open.areOpen) await this.#untilAllEnded();
        this.#checkForward();
      } finally {
        watch?.cancel();
      }
    } catch (thrown) {
      const error =
        thrown instanceof ContinueAsNew
          ? new SagaDefinitionError('A saga cannot continue as new: its compensations would be lost. Let it end first.')
          : thrown;
      if (!isFailure(error)) return stopAtBug(error);
      return this.#unwind(error);
    }
    this.#phase = 'completing';
    if (this.#hasUnnoticed) await this.#undoAll(() => 'what may have happened unnoticed');
    this.#journal.disarm();
    if (this.#lockHolders.length > 0) await this.#releaseLocks();
    return this.#committed(result);
  }

  #steps(): Saga {
    return {
      id: this.context.id,
      step: (operation, input, options) => this.#step('compensatable', operation, input, options),
      pivot: (operation, input, options) => this.#step('pivot', operation, input, options),
      retriable: (operation, input, options) => this.#step('retriable', operation, input, options),
    };
  }

  /** Asked to turn back in time, it does, even though what still ran has succeeded meanwhile. */
  #checkForward(): void {
    if (this.#scope.consideredCancelled && !this.#journal.pastPivot)
      throw new CancelledFailure('The saga was asked to turn back.');
    const unheard = this.#failures.find(isUnheard);
    if (unheard) throw unheard.error;
  }

  #startTimer(): { cancel(): void } | undefined {
    const { timeout } = this.options;
    if (timeout === undefined) return undefined;
    return alarm(timeout, 'saga timeout', () => {
      this.#timedOut = !this.#journal.pastPivot;
      this.turnBack();
    });
  }

  /** Ends the body, if there still is a way back. */
  turnBack(): void {
    if (this.#phase !== 'forward' || this.#journal.pastPivot) return;
    if (this.#journal.pivotPending || this.#decidedBefore()) this.#turnsBackLater = true;
    else if (this.#knowsAll) this.#scope.cancel();
    else {
      this.#turnsBackLater = true;
      log.warn('A saga does not turn back: it does not know what an earlier run or a group has done in its name', {
        transaction: this.context.id,
      });
    }
  }

  #turnBackAfterAll(): void {
    if (this.#turnsBackLater) this.turnBack();
  }

  #step<R>(asked: StepRole, runnable: Runnable<never, R>, input: unknown, options: StepOptions = {}): Promise<R> {
    const group = membership();
    // No branch log keeps what a free-form step does from happening twice.
    if (group && 'execute' in runnable) return group.leave(`${nameOf(runnable)} is a free-form step`);
    return this.#tell(asked, runnable, input, options) as Promise<R>; // Cast: the type of a result is known to its operation only.
  }

  #tell(asked: StepRole, runnable: Runnable<never, unknown>, input: unknown, options: StepOptions): Promise<unknown> {
    try {
      const running = this.#begin(this.#roleOf(asked, runnable), runnable, input, options);
      const told = this.#run(running);
      this.#told.set(running.step, told);
      return told;
    } catch (error) {
      const told = failedStep(error, onRecord);
      this.#failures.push({ error, isLate: false, told: () => told });
      return told;
    }
  }

  #roleOf(asked: StepRole, runnable: Runnable<never, unknown>): StepRole {
    const misplaced = misplacement(asked, runnable, this.#journal);
    if (misplaced === undefined) return asked;
    // In production money has moved already: the step is then run the only way that is left.
    if (isStrict() || !this.#journal.pastPivot) throw new SagaDefinitionError(misplaced);
    log.warn(misplaced, { transaction: this.context.id });
    return 'retriable';
  }

  #begin(role: StepRole, runnable: Runnable<never, unknown>, given: unknown, options: StepOptions): RunningStep {
    if (this.#phase !== 'forward' || (role !== 'retriable' && this.#scope.consideredCancelled)) {
      throw new CancelledFailure(`${nameOf(runnable)} was not begun: the saga is being undone.`);
    }
    if (this.#journal.steps.length >= MOST_STEPS)
      throw new SagaDefinitionError(`A saga has at most ${MOST_STEPS} steps. Split it, or let one step do more.`);
    if (options.id !== undefined && this.#journal.has(options.id))
      throw new SagaDefinitionError(`Two steps have the id ${options.id}. Give each its own.`);
    const branch = parseBranchId(options.id ?? this.#journal.nextBranch(nameOf(runnable)));
    const settings = settingsOf(this.options, options);
    checkStep(branch, settings);
    const asked = inputOf(branch, runnable, given);
    const input = 'problem' in asked ? undefined : asked.input;
    if (!('problem' in asked)) this.#checkInherited(branch, runnable, input);
    const step = this.#journal.begin({
      branch,
      role,
      input,
      compensatable: role === 'compensatable',
      ...('execute' in runnable
        ? { operation: runnable.name }
        : { participant: runnable.participant, operation: runnable.operation }),
    });
    const action =
      'problem' in asked
        ? refused(asked.problem)
        : actionOf(runnable, branch, input, this.context, settings, options.summary);
    // A pivot must be known: neither way is safe while it is not. Nor is the way back while it is not known what there is to undo.
    const mustBeKnown = (): boolean => role === 'pivot' || (!('execute' in runnable) && !this.#knowsAll);
    const running: RunningStep = {
      step,
      action,
      onUnknown: () => (mustBeKnown() ? 'query' : settings.onUnknown),
      locks: false,
    };
    this.#running.set(step, running);
    this.#show();
    return running;
  }

  /** Each in as many turns as ever: what runs already goes on in the order in which it did. */
  #run(running: RunningStep): StepPromise<unknown> {
    switch (running.step.role) {
      case 'compensatable':
        if (this.#decidedBefore()) return shielded(() => this.#runner.runUntilDone(running));
        return this.#knowsAll ? this.#runner.run(running) : shielded(() => this.#runner.run(running));
      case 'pivot': {
        const over = (): Promise<void> => {
          this.#turnBackAfterAll();
          return Promise.resolve();
        };
        return stepAfter(
          CancellationScope.nonCancellable(() => this.#runner.run(running)),
          (result) => over().then(() => result),
          (error) => over().then(() => rethrow(error)),
          onRecord,
        );
      }
      case 'retriable':
        return shielded(() => this.#runner.runUntilDone(running));
    }
  }

  /** The pivot lies ahead, and may be done: it was asked for before this run. Until that is known, the only way is forward. */
  #decidedBefore(): boolean {
    return this.#unmet().some(({ role }) => role !== 'compensatable');
  }

  /**
   * Whether it knows all that was asked for in its name. While it does not, it turns back by itself for a "no" only: an earlier run may have
   * committed long ago, or done what this one never comes to.
   */
  get #knowsAll(): boolean {
    // A copy in a group leaves before it meets what others did.
    if (membership()) return true;
    if (this.#mayHaveCommitted) return false;
    return (this.#inherited.isComplete && !wasReset()) || !isNew();
  }

  /** What was asked for before this run, and was not by this saga. */
  #unmet(): readonly AskedStep[] {
    const { steps } = this.#journal;
    return this.#inherited.except((asked) => steps.some((step) => this.#isMetBy(asked, step)));
  }

  /** What cannot be undone stands in the way of another input by itself: it is held. */
  #isMetBy(asked: AskedStep, step: Step): boolean {
    return asked.role === 'compensatable' ? asksTheSame(asked, step) : asked.branch === step.branch;
  }

  /** What was asked for before may have happened, and stands in the way of anything else under that name: it is undone, not forgotten. */
  #checkInherited(branch: string, runnable: Runnable<never, unknown>, input: unknown): void {
    const asked = this.#inherited.of(branch);
    if (asked?.role !== 'compensatable' || this.#journal.pastPivot) return;
    if (!('execute' in runnable) && asksTheSame(asked, { branch, ...askedOf(runnable), input })) return;
    if (!isNew()) return;
    throw ApplicationFailure.nonRetryable(
      `Nothing was changed by this: ${branch} was asked for before this run with another input, or as another operation, and may have been done.`,
      FailureType.InputMismatch,
    );
  }

  /** For whoever goes on when this run was terminated. */
  #askedFor(): AskedFor {
    const asked = this.#journal.steps.flatMap(askedStepOf);
    const isFree = ({ participant, fate }: Step): boolean => participant === undefined && mayStand(fate);
    const turnsBack = this.#phase === 'unwinding' && !this.#journal.pastPivot;
    const more = !this.#knowsAll || this.#journal.steps.some(isFree);
    const began = beginningOf(this.context.id);
    return {
      transaction: this.context.id,
      asked: [...asked, ...this.#unmet()],
      ended: false,
      // What is no operation of a participant is undone by the code that did it only.
      ...(turnsBack && !more ? { undo: true } : {}),
      ...(more ? { more } : {}),
      ...(began === undefined ? {} : { began }),
    };
  }

  /** Takes what it has not met into the journal: it may have happened, or may still. */
  async #inherit(): Promise<void> {
    const settings = settingsOf(this.options, {});
    for (const { branch, role, input, participant, operation } of this.#unmet()) {
      const id = parseBranchId(branch);
      const compensatable = role === 'compensatable';
      const step = this.#journal.begin({ branch: id, role, input, compensatable, participant, operation });
      const action = actionOf({ participant, operation }, id, input, this.context, settings);
      const running: RunningStep = { step, action, onUnknown: () => 'query', locks: false };
      this.#running.set(step, running);
      this.#journal.settle(step, { kind: 'unknown', cause: 'It was asked for before this run, which never did.' });
      if (!compensatable) await this.#runner.findOut(running);
    }
    this.#show();
  }

  #committed<R>(result: R): SettledSagaReport<R> {
    const { steps } = this.#journal;
    const mixed = (message: string, { branch }: Step): SettledSagaReport<R> =>
      this.#end({ outcome: 'mixed', cause: { kind: 'failed', message, branch } });
    const stays = steps.find(({ compensation }) => compensation.kind === 'skipped');
    if (stays)
      return mixed(
        `The saga committed, and beside it the effect of ${stays.branch} may stay: its compensation was given up.`,
        stays,
      );
    const lacks = steps.find(isGivenUp);
    // The version before told nobody.
    if (lacks && patched('temporal-txn-step-given-up'))
      return mixed(
        `The saga committed, and ${lacks.branch} was given up: nobody knows whether it did nothing, and nothing undoes it.`,
        lacks,
      );
    return this.#end({ outcome: 'committed', result });
  }

  async #unwind<R>(error: unknown): Promise<SettledSagaReport<R>> {
    this.#phase = 'unwinding';
    this.#cause = this.#causeOf(error);
    this.#scope.cancel(); // Siblings of the failed step stop retrying; each still says how it ended.
    this.#show();
    await this.#untilAllEnded();
    await this.#undoAll(() => (this.#journal.pastPivot ? 'what may have happened unnoticed' : 'everything'));
    this.#journal.disarm();
    await this.#releaseLocks();
    return this.#end({ outcome: outcomeOf(this.#journal.report()), cause: this.#cause });
  }

  get #hasUnnoticed(): boolean {
    return this.#unmet().length > 0 || this.#journal.plan('what may have happened unnoticed').length > 0;
  }

  /** Undoes every step that may have happened, each as soon as all that build on it are undone. */
  async #undoAll(which: () => Parameters<SagaJournal['plan']>[0]): Promise<void> {
    do {
      await this.#inherit();
      await this.#undoEach(which());
      // More may have been left to it meanwhile.
    } while (this.#unmet().length > 0);
  }

  async #undoEach(which: Parameters<SagaJournal['plan']>[0]): Promise<void> {
    const undone = new Map<Step, Promise<void>>();
    for (const { step, before } of this.#journal.plan(which)) {
      const running = this.#running.get(step) as RunningStep; // Both are filled in #begin.
      undone.set(
        step,
        Promise.all(before.flatMap((later) => undone.get(later) ?? [])).then(() =>
          this.#runner.undo(this.#mayHaveCommitted ? withoutOthers(running, this.context.id) : running),
        ),
      );
    }
    await Promise.all(undone.values());
  }

  /** Whether nothing goes on that might change how the saga ends. */
  get #allEnded(): boolean {
    return this.#journal.allSettled && !this.#turnsBackLater;
  }

  /** Steps may begin others while we wait, and so may what the body has begun beside them. */
  async #untilAllEnded(): Promise<void> {
    const open = this.context.inside?.open;
    for (let known = -1; known !== this.#told.size;) {
      const told = [...this.#told.values()];
      known = told.length;
      await unnoted(told, () => Promise.allSettled(told));
      if (open?.areOpen) await (this.#phase === 'forward' ? open.untilEnded() : open.untilTurnedBack());
    }
  }

  /** One question to each participant that may still hold locks of this saga. Retried until it is answered. */
  async #releaseLocks(): Promise<void> {
    const release = (participant: string): Promise<void> =>
      this.context.dispatcher.releaseLocks(participant, this.context.id, {
        attemptTimeout: DEFAULT_TIMEOUTS.local.startToCloseMs,
        retry: INSISTENT_RETRY,
        summary: `at ${participant}`,
      });
    await Promise.all(this.#lockHolders.map(release));
  }

  /** Participants that may still hold locks of this saga. */
  get #lockHolders(): readonly string[] {
    const holding = [...this.#running.values()].filter(mayHoldLocks);
    return [...new Set(holding.flatMap(({ step }) => step.participant ?? []))];
  }

  #causeOf(error: unknown): SagaCause {
    const first = firstOf(error);
    const step = typeof first === 'object' && first !== null ? this.#failedAt.get(first) : undefined;
    const refusal = step?.fate.kind === 'not-done' ? step.fate.refusal : refusalOf(first);
    const base = { message: messageOf(error), ...(step === undefined ? {} : { branch: step.branch }) };
    if (refusal) return { kind: 'refused', ...base, refusal };
    if (this.#timedOut && !this.#journal.pastPivot)
      return { ...base, kind: 'timed-out', message: 'The saga took longer than its timeout.' };
    return { kind: isCancellation(first) ? 'cancelled' : 'failed', ...base };
  }

  #end<R>(
    ending: { outcome: 'committed'; result: R } | { outcome: 'compensated' | 'mixed'; cause: SagaCause },
  ): SettledSagaReport<R> {
    const report: SettledSagaReport<R> = {
      id: this.context.id,
      protocol: 'saga',
      ...ending,
      steps: this.#journal.report(),
    };
    // Somebody may have been told of what has committed.
    const left = report.outcome === 'compensated' ? { undo: true as const } : { more: true as const };
    if (!membership()) tellAsked(this.context.id, () => ({ transaction: report.id, asked: [], ended: true, ...left }));
    post(report, this.context);
    return report;
  }

  #show(): void {
    const steps = this.#journal.report();
    const outcome = needsAttention(steps) ? 'held' : this.#phase === 'unwinding' ? 'compensating' : 'running';
    const report: SagaReport = {
      id: this.context.id,
      protocol: 'saga',
      outcome,
      steps,
      ...(this.#cause === undefined ? {} : { cause: this.#cause }),
    };
    post(report, this.context);
  }
}

/** Data from which whoever goes on could undo it, unless nothing of it can stand or a person has settled it. */
function askedStepOf({ branch, role, participant, operation, input, fate, compensation }: Step): AskedStep[] {
  if (participant === undefined || !mayStand(fate) || settledByHand(compensation)) return [];
  return [{ branch, role, participant, operation, input }];
}

const askedOf = ({ participant, operation }: BranchOperation<never>): Pick<AskedStep, 'participant' | 'operation'> => ({
  participant,
  operation,
});

const mayStand = (fate: StepFate): boolean => !provesNothingToUndo(fate);

interface StepFailure {
  readonly error: unknown;
  /** The body was over by then. */
  readonly isLate: boolean;
  readonly told: () => StepPromise<unknown> | undefined;
}

/** Whether nobody but the saga can know of it. The version before took no notice of one that came while the body went on. */
const isUnheard = ({ isLate, told }: StepFailure): boolean =>
  isLate || (told()?.isHeard === false && patched('temporal-txn-unheard-step'));

/**
 * The workflow task fails, and is retried until the bug is mended. Nobody around the saga hears of it: who caught it would go on although half
 * is done; in a group it leaves by itself. The version before threw it, which is replayed as it was.
 */
function stopAtBug(error: unknown): Promise<never> {
  if (membership() || !patched('temporal-txn-stops-at-bug')) throw error;
  return failTask(error);
}

/**
 * A failure of a step is on record, so the body may look at it when it wants to. Without this, Temporal takes a rejection
 * that nobody awaits yet for a bug. A real bug still fails the workflow task at once.
 */
function onRecord(failed: Promise<unknown>): void {
  if (membership()) return void onRecordInGroup(failed);
  failed.catch((error: unknown) => {
    if (!isFailure(error)) throw error;
  });
}

/** A step that no cancellation reaches. */
function shielded(work: () => Promise<unknown>): StepPromise<unknown> {
  const scope = new UntimedScope({ cancellable: false, parent: CancellationScope.current() });
  return stepAfter(scope.run(work), (result) => result, rethrow, onRecord);
}

function rethrow(error: unknown): never {
  throw error;
}

/** A compensation has released the locks of its step. What a person settled may have left some that nobody told us of. */
const mayHoldLocks = ({ locks, step: { fate, compensation } }: RunningStep): boolean =>
  compensation.kind !== 'compensated' && (locks || settledByHand(fate) || settledByHand(compensation));

const settledByHand = ({ kind }: StepFate | CompensationFate): boolean => kind === 'skipped' || kind === 'resolved';
