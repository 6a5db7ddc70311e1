/**
 * The dispatch of a group: collects what its transactions ask for in the same turn, and asks each participant once for all of
 * it. Every question gets its own answer; what is not answered yet is asked again, together with whatever else is asked by then.
 */
import { msToNumber } from '@temporalio/common/lib/time';
import { ApplicationFailure, sleep, workflowInfo } from '@temporalio/workflow';
import type { ActivityFailure } from '@temporalio/workflow';
import { FailureType, LARGEST_PAYLOAD_BYTES, MANY } from '../../protocol';
import type { CarriedTrace, ManyAnswer, ManyAnswers, ManyRequest, ToldFailure } from '../../protocol';
import { askNear } from '../colocated';
import { askAlone } from '../dispatch';
import type { Addressee, Effort } from '../dispatch';
import { finalFailure, messageOf } from '../failures';
import { bytesOf } from './bytes';

/** One question of one transaction. */
export interface Asked extends Addressee {
  readonly activity: string;
  readonly request: object;
  /** Of the transaction, where somebody traces. */
  readonly trace?: CarriedTrace;
  readonly attemptTimeoutMs: number;
  /** Told when it is sent, until when it waits for others of its group only. */
  readonly sent: (bytes: number) => void;
  /** Told when it was not answered, and is asked again. */
  readonly again: () => void;
  /** Whether an answer is still of use. */
  readonly isWanted: () => boolean;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
  /** Nobody can answer it here. @param proof that it was not done, and never will be by this question */
  readonly giveUp: (why: string, proof?: 'not done') => void;
}

interface Waiting extends Asked {
  readonly bytes: number;
  readonly tries: number;
  /** Ticks to wait before it is asked again. */
  readonly ticks: number;
}

/** What is asked of a participant at a time, in all activities together: one workflow task carries no more. */
const WINDOW_BYTES = 2 * LARGEST_PAYLOAD_BYTES;
/** More than that would make a history that is slow to replay. Whoever is not done by then goes on alone. */
const MOST_ACTIVITIES = 200;
/**
 * Of all that is written into it but the answer of the group, which takes one payload more. With the frames of its events that has to
 * stay below the 4 MB that a client takes at a time.
 */
const LARGEST_HISTORY_BYTES = 6 * LARGEST_PAYLOAD_BYTES;
/** Pause before something is asked again: one timer for all that wait. */
const TICK_MS = 200;
const MOST_TICKS = 8;

export class Batches {
  #queue: Waiting[] = [];
  #later: Waiting[] = [];
  #pausing: (() => void)[] = [];
  #ticking = false;
  #activities = 0;
  #bytesUnderWay = 0;

  /**
   * @param startTimeoutMs how long a participant may take to have a worker take up what it is asked
   * @param changed called when something waits that did not wait before
   * @param ticked called with every tick
   * @param bytesInHistory what is written already
   * @param bytesToHandOver what would be written if all that are here left now
   */
  constructor(
    private readonly startTimeoutMs: number,
    private readonly changed: () => void,
    private readonly ticked: () => void,
    private bytesInHistory: number,
    private readonly bytesToHandOver: () => number,
  ) {}

  /** Whether something can be sent now. */
  get isReady(): boolean {
    return this.#queue.length > 0 && this.#bytesUnderWay < WINDOW_BYTES;
  }

  /** Something else is written. */
  written(bytes: number): void {
    this.bytesInHistory += bytes;
  }

  ask(asked: Asked): void {
    this.#queue.push({ ...asked, bytes: bytesOf([asked.request, asked.trace]), tries: 1, ticks: 0 });
  }

  /** Resolves with the next tick: many wake together. */
  async pause(): Promise<void> {
    this.changed();
    await new Promise<void>((resolve) => this.#pausing.push(resolve));
  }

  /** Asks what waits. To be called when nothing else happens in this turn, so that all who ask in it travel together. */
  flush(): void {
    for (const chunk of this.#chunks()) void this.#send(chunk);
    if (this.#later.length > 0 || this.#pausing.length > 0) this.tick();
  }

  /** Starts the clock, unless it runs. */
  tick(): void {
    if (this.#ticking) return;
    this.#ticking = true;
    void sleep(TICK_MS, { summary: 'pause before what is left is asked again' }).then(() => {
      this.#ticking = false;
      for (const asked of this.#later.splice(0))
        if (asked.ticks <= 1) this.#queue.push(asked);
        else this.#later.push({ ...asked, ticks: asked.ticks - 1 });
      for (const resume of this.#pausing.splice(0)) resume();
      this.ticked();
    });
  }

  /** By participant, in the order in which they were asked, as much as there is room for. */
  #chunks(): Waiting[][] {
    const chunks: Waiting[][] = [];
    const open = new Map<string, { readonly chunk: Waiting[]; bytes: number }>();
    const all = this.#queue.splice(0).filter(({ isWanted }) => isWanted());
    for (const [i, asked] of all.entries()) {
      if (this.#bytesUnderWay >= WINDOW_BYTES) {
        this.#queue = all.slice(i);
        break;
      }
      let current = open.get(asked.participant);
      if (!current || current.bytes + asked.bytes > LARGEST_PAYLOAD_BYTES) {
        current = { chunk: [], bytes: 0 };
        open.set(asked.participant, current);
        chunks.push(current.chunk);
      }
      current.chunk.push(asked);
      current.bytes += asked.bytes;
      this.#bytesUnderWay += asked.bytes;
    }
    return chunks;
  }

  async #send(chunk: readonly Waiting[]): Promise<void> {
    this.#activities++;
    const bytes = chunk.reduce((sum, asked) => sum + asked.bytes, 0);
    if (this.#activities > MOST_ACTIVITIES || !this.#hasRoomFor(bytes)) {
      this.#bytesUnderWay -= bytes;
      for (const { giveUp, tries } of chunk)
        giveUp('the history of the group is full', ...(tries === 1 ? (['not done'] as const) : []));
      return;
    }
    this.written(bytes);
    for (const asked of chunk) asked.sent(asked.bytes);
    try {
      const { answers } = await askMany(chunk, this.startTimeoutMs);
      this.written(bytesOf(answers));
      for (const [i, asked] of chunk.entries()) this.#answered(asked, answers[i] ?? 'not-yet');
    } catch (error) {
      for (const { giveUp } of chunk) giveUp(`its participant did not answer: ${messageOf(error)}`);
    } finally {
      this.#bytesUnderWay -= bytes;
    }
  }

  /** Twice: whoever asks may have to be handed over with it. */
  #hasRoomFor(bytes: number): boolean {
    return this.bytesInHistory + this.bytesToHandOver() + 2 * bytes <= LARGEST_HISTORY_BYTES;
  }

  #answered(asked: Waiting, answer: ManyAnswer): void {
    if (!asked.isWanted()) return;
    if (answer === 'not-yet') return this.#askAgain(asked, 1);
    if ('answer' in answer) return asked.resolve(answer.answer);
    const { failure } = answer;
    if (isFinal(failure)) return asked.reject(failureOf(asked.activity, failure));
    if (failure.nonRetryable) return asked.giveUp(failure.message, 'not done');
    this.#askAgain(asked, Math.min(MOST_TICKS, 2 ** (asked.tries - 1)));
  }

  #askAgain(asked: Waiting, ticks: number): void {
    asked.again();
    this.#later.push({ ...asOnceMore(asked), tries: asked.tries + 1, ticks });
    this.changed();
  }
}

async function askMany(chunk: readonly Waiting[], startTimeout: number): Promise<ManyAnswers> {
  const [first] = chunk;
  if (!first) throw new RangeError('Nothing was asked.');
  const attemptTimeout = Math.max(...chunk.map(({ attemptTimeoutMs }) => attemptTimeoutMs));
  const effort: Effort = {
    attemptTimeout,
    startTimeout,
    // A worker that is lost is noticed long before, and another one has all of it done.
    timeout: 2 * attemptTimeout,
    retry: { initialInterval: '100 milliseconds', backoffCoefficient: 2, maximumInterval: '1 second' },
    summary: `${chunk.length} at ${first.participant}: ${namesIn(chunk)}`,
  };
  if (!chunk.every(({ colocated }) => colocated)) return askAlone(first, MANY, requestOf(chunk), effort);
  try {
    // A group takes no updates, which would not go well with it.
    return await askNear(first, MANY, requestOf(chunk), effort);
  } catch {
    // Whoever is not there, or is killed in the middle: each branch answers the second question from its log.
    return askAlone(first, MANY, requestOf(chunk.map(asOnceMore)), effort);
  }
}

const requestOf = (chunk: readonly Waiting[]): ManyRequest => ({
  items: chunk.map(({ activity, request, trace }) => ({ activity, request, ...(trace ? { trace } : {}) })),
  run: workflowInfo().firstExecutionRunId,
});

/** The same question, to one that may have done it already. */
const asOnceMore = (asked: Waiting): Waiting => ({ ...asked, request: { ...asked.request, again: true } });

const namesIn = (chunk: readonly Asked[]): string =>
  [...new Set(chunk.map(({ activity }) => activity))].slice(0, 3).join(', ');

/** The participant has said for good that it did nothing. Whatever else cannot be cured is for a workflow of its own to tell. */
const isFinal = ({ type }: ToldFailure): boolean => type === FailureType.Refusal || type === FailureType.InputMismatch;

/** As if it had been asked alone. */
const failureOf = (activity: string, { type, message, details, nonRetryable }: ToldFailure): ActivityFailure =>
  finalFailure(
    activity,
    ApplicationFailure.create({
      message,
      nonRetryable,
      ...(type === undefined ? {} : { type }),
      ...(details === undefined ? {} : { details: [...details] }),
    }),
  );

export const attemptTimeoutOf = ({ attemptTimeout }: Effort): number => msToNumber(attemptTimeout);
