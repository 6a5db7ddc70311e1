/**
 * The workflow that runs groups: many independent transactions of one workflow type, side by side. It ends as soon as every
 * one of them has ended or goes on as a workflow of its own.
 */
import { WorkflowExecutionAlreadyStartedError, WorkflowIdReusePolicy } from '@temporalio/common';
import type { Duration } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time';
import {
  ApplicationFailure,
  CancellationScope,
  ChildWorkflowCancellationType,
  condition,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  TemporalFailure,
  workflowInfo,
} from '@temporalio/workflow';
import type { ChildWorkflowFailure } from '@temporalio/workflow';
import { continuing, HERITAGE_MEMO, inSpan, REQUEST_MEMO, SPAN_ATTRIBUTES, SPANS } from '../../observability';
import { FailureType, INHERIT_SIGNAL, LARGEST_PAYLOAD_BYTES, parseNewTransactionId, show } from '../../protocol';
import type { GroupAnswer, GroupItem, GroupRequest, Heritage } from '../../protocol';
import { reportQuery } from '../board';
import { messageOf } from '../failures';
import { isNew, wasReset } from '../heritage';
import { Batches } from './batches';
import { bytesOf } from './bytes';
import { tellEndings } from './tally';
import { Traveller } from './traveller';
import type { TransactionFunction } from './traveller';

export interface GroupOptions {
  /**
   * From when on a transaction goes on as a workflow of its own when it waits, for a branch that failed or is slow or for anything
   * else but its turn. And how long a participant may be without a worker.
   * @default 10 seconds
   */
  readonly handOverAfter?: Duration;
  /** The same for one that others wait for, which have ended: how long nothing may be heard of its branches. @default 1 second */
  readonly waitForStragglers?: Duration;
}

/**
 * Makes the workflow type that runs groups, of the workflows that may travel in them. Export it as `runGroup` from the module of
 * workflows that your workers load.
 *
 * A workflow may travel if it takes one input and does nothing but compute, and run `saga()`, `twoPhaseCommit()` or, without a hold, `tryConfirmCancel()`: the same
 * branches with the same inputs whenever it is given the same input and the same answers. So it takes no random number and no time
 * of day into a step, handles no signals, and asks Temporal for nothing by itself.
 *
 * @example export const runGroup = groupOf({ transferMoney, transferMoneyAtomically });
 */
export const groupOf =
  (
    functions: Readonly<Record<string, TransactionFunction>>,
    options: GroupOptions = {},
  ): ((request: GroupRequest) => Promise<GroupAnswer>) =>
  (request) => {
    const { type, items } = request;
    const run = functions[type];
    if (!run || !Object.hasOwn(functions, type))
      throw ApplicationFailure.nonRetryable(
        `Nothing was changed: ${show(type)} is none of the workflows that travel in groups here. Add it to groupOf({ … }).`,
        FailureType.BadRequest,
      );
    checkItems(items);
    return new Group(request, options).run(run);
  };

/** What came over the wire is data: what is wrong with it must not fail the task of the workflow, again and again. */
function checkItems(items: GroupRequest['items']): void {
  try {
    if (new Set(items.map(({ id }) => parseNewTransactionId(id))).size === items.length) return;
  } catch (error) {
    throw ApplicationFailure.nonRetryable(messageOf(error), FailureType.BadRequest);
  }
  throw ApplicationFailure.nonRetryable(
    'Nothing was changed: a transaction is twice in one group.',
    FailureType.BadRequest,
  );
}

/** With its id, and why it left. */
const BYTES_OF_ONE_THAT_LEFT = 400;

class Group {
  readonly #batches: Batches;
  readonly #travellers: readonly Traveller[];
  readonly #began = Date.now();
  readonly #handOverAfterMs: number;
  readonly #stragglersMs: number;
  readonly #starting = new Set<Traveller>();
  /** Of those that are being handed over. */
  #bytesHandedOver = 0;
  #firstEndMs: number | undefined;
  #changed = false;

  constructor(
    private readonly request: GroupRequest,
    { handOverAfter = '10 seconds', waitForStragglers = '1 second' }: GroupOptions,
  ) {
    this.#handOverAfterMs = msToNumber(handOverAfter);
    this.#stragglersMs = msToNumber(waitForStragglers);
    this.#batches = new Batches(
      this.#handOverAfterMs,
      () => this.#touch(),
      () => this.#look(),
      bytesOf(request),
      () => this.#bytesToHandOver(),
    );
    this.#travellers = request.items.map((item) => new Traveller(item, this.#batches, () => this.#touch()));
  }

  async run(run: TransactionFunction): Promise<GroupAnswer> {
    const { type, items } = this.request;
    setHandler(reportQuery, () => this.#travellers.flatMap(({ report }) => report ?? []), {
      description: 'How each transaction of this group stands',
    });
    setCurrentDetails(
      `**${items.length} transactions of the type ${type}.** One that does not end soon goes on as a workflow of its own, under its id. The query "report" tells how each of them stands.`,
    );
    // Whoever cancels a group means its transactions, each of which has its own way back.
    CancellationScope.current().cancelRequested.catch(() => this.#handOver(() => true, 'the group was cancelled'));
    return CancellationScope.nonCancellable(async () => {
      for (const traveller of this.#travellers) traveller.start(type, run);
      while (this.#open.length > 0) {
        // Looked at when everything else in this turn has been done: so all that is asked in it is asked together.
        await condition(() => this.#changed || this.#batches.isReady);
        this.#changed = false;
        this.#batches.flush();
        this.#makeRoom();
        this.#handOverThose();
        if (this.#needsClock()) this.#batches.tick();
        // Not all with the answer: that is given once more where a child ends in the same moment, and what goes with it is told twice.
        tellEndings(this.#travellers.flatMap((traveller) => traveller.takeEnding() ?? []));
      }
      return { outcomes: this.#travellers.flatMap(({ outcome }) => outcome ?? []) };
    });
  }

  get #open(): readonly Traveller[] {
    return this.#travellers.filter(({ outcome }) => outcome === undefined);
  }

  /**
   * Somebody waits for others, or for something that the group knows nothing of. Whoever is asked again has the clock run by that, and what
   * an activity is asked for ends by its timeouts.
   */
  #needsClock(): boolean {
    const open = this.#open;
    return open.length > 0 && (open.length < this.#travellers.length || open.some(({ isIdle }) => isIdle));
  }

  /** Of those that are not on their way yet. */
  #bytesToHandOver(): number {
    const here = this.#open.filter((traveller) => !this.#starting.has(traveller));
    return here.reduce((sum, { bytesToHandOver }) => sum + bytesToHandOver, 0);
  }

  #touch(): void {
    this.#changed = true;
  }

  #look(): void {
    this.#touch();
    const now = Date.now();
    // Not those that wait for their first answer: where all is slow, workflows of their own would make it slower.
    if (now - this.#began >= this.#handOverAfterMs)
      this.#handOver(({ isIdle, isInTrouble }) => isIdle || isInTrouble, 'it did not end soon');
    if (this.#open.length === this.#travellers.length) return;
    const firstEndMs = (this.#firstEndMs ??= now);
    // Where everything takes long, it may take longer.
    const patienceMs = Math.max(this.#stragglersMs, 2 * (firstEndMs - this.#began));
    this.#handOver(
      ({ lastHeard }) => now - Math.max(lastHeard, firstEndMs) >= patienceMs,
      'the others have ended, and nothing was heard of it',
    );
    // However much is heard of it: nobody hears of the end of the others before.
    const endOfPatience = firstEndMs + Math.max(this.#handOverAfterMs, patienceMs);
    if (now >= endOfPatience && this.#open.length > 0 && isNew())
      this.#handOver(() => true, 'the others have ended long before');
  }

  #handOver(which: (traveller: Traveller) => boolean, why: string): void {
    for (const traveller of this.#open) if (which(traveller)) void traveller.leave(why);
  }

  /** What has no room in the answer is told by a workflow of its own. */
  #makeRoom(): void {
    if (this.#open.some(({ leaving }) => leaving === undefined)) return;
    const ended = this.#travellers.filter(({ outcome }) => outcome !== undefined && outcome.kind !== 'on-its-own');
    const others = this.#travellers.length - ended.length;
    let bytes = others * BYTES_OF_ONE_THAT_LEFT;
    for (const traveller of ended) {
      const size = traveller.outcomeBytes;
      if (bytes + size <= LARGEST_PAYLOAD_BYTES) bytes += size;
      else traveller.retract('its result has no room in the answer of the group');
    }
  }

  /** As many at a time as one workflow task has room for. */
  #handOverThose(): void {
    for (const traveller of this.#open) {
      if (traveller.leaving === undefined || this.#starting.has(traveller)) continue;
      if (this.#bytesHandedOver >= LARGEST_PAYLOAD_BYTES) return;
      this.#starting.add(traveller);
      void this.#start(traveller);
    }
  }

  async #start(traveller: Traveller): Promise<void> {
    const { type } = this.request;
    const { item } = traveller;
    // A run that was reset is answered by nobody, and knows nothing of what the first one came to after that moment.
    const heritage: Heritage = { ...traveller.heritage, ...(wasReset() ? { reset: true } : {}) };
    // Without what the metrics need, as it was always counted: a group that is replayed makes room as it did.
    const bytes = bytesOf([item, heritage]);
    this.#bytesHandedOver += bytes;
    this.#batches.written(bytes);
    const attributes = {
      [SPAN_ATTRIBUTES.transaction]: item.id,
      [SPAN_ATTRIBUTES.group]: workflowInfo().workflowId,
    };
    const span = { name: `${SPANS.handOver}${type}`, attributes, ...continuing(traveller.trace) };
    const outcome = await inSpan(
      span,
      // How it ends is written into the history of whoever has started it, while that goes on.
      () => handOver(type, item, { ...heritage, ...traveller.told }, (end) => this.#batches.written(bytesOf(end))),
      (end) => ({ outcome: end }),
    );
    this.#bytesHandedOver -= bytes;
    traveller.left(outcome === 'started');
  }
}

/**
 * Has a workflow go on with a transaction: starts it, or finds one that was there before. Whichever it is hears of everything that was
 * asked for here. It has to outlive the group, and is on its own.
 */
async function handOver(
  type: string,
  item: GroupItem,
  heritage: Heritage,
  told: (end: unknown) => void,
): Promise<'started' | 'found'> {
  const start = (what: Heritage, policy: WorkflowIdReusePolicy): Promise<boolean> =>
    startOwn(type, item, what, policy, told);
  if (await start(heritage, WorkflowIdReusePolicy.REJECT_DUPLICATE)) return 'started';
  if (heritage.asked.length === 0 || (await signalOwn(item.id, heritage))) return 'found';
  // It has ended. Unless it has committed, what was asked for here is undone in its name.
  if (await start({ ...heritage, undo: true }, WorkflowIdReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY)) return 'started';
  // It has, or goes on again.
  await signalOwn(item.id, heritage);
  return 'found';
}

async function startOwn(
  type: string,
  { id, input, request, summary }: GroupItem,
  heritage: Heritage,
  workflowIdReusePolicy: WorkflowIdReusePolicy,
  told: (end: unknown) => void,
): Promise<boolean> {
  try {
    const own = await startChild(type, {
      workflowId: id,
      args: [input],
      ...(summary === undefined ? {} : { staticSummary: summary }),
      memo: { [REQUEST_MEMO]: request, [HERITAGE_MEMO]: heritage },
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: ChildWorkflowCancellationType.ABANDON,
      workflowIdReusePolicy,
    });
    own.result().then(told, ({ cause }: ChildWorkflowFailure) => {
      told(cause instanceof ApplicationFailure ? [cause.message, cause.details] : cause?.message);
    });
    return true;
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    return false;
  }
}

/** @returns false when it has ended */
async function signalOwn(id: string, heritage: Heritage): Promise<boolean> {
  try {
    await getExternalWorkflowHandle(id).signal(INHERIT_SIGNAL, heritage);
    return true;
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    return false;
  }
}
