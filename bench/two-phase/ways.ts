/** The ways of this part. */
import type { Cost } from '../cost';

export type Way = 'saga' | 'signal' | 'answer' | 'direct' | AskingWay;
/** Ways whose callers wait for the decision first: one more update each, so they are measured apart from the others. */
export type AskingWay = 'signal-decision' | 'answer-decision';
/** Ways that leave a history. */
export type HistoryWay = Exclude<Way, 'direct'>;

export const WAYS: readonly Way[] = ['saga', 'signal', 'signal-decision', 'direct', 'answer', 'answer-decision'];
export const HISTORY_WAYS: readonly HistoryWay[] = ['saga', 'signal', 'answer', 'signal-decision', 'answer-decision'];

export const ASKING_WAYS: readonly AskingWay[] = ['signal-decision', 'answer-decision'];

export const asksForDecision = (way: Way): way is AskingWay => ASKING_WAYS.some((asking) => asking === way);

/** One at a time, or 16. */
export type Pace = 'alone' | 'together';

/** What histories say. */
export type CostSamples = Readonly<Record<HistoryWay, Readonly<Record<Pace, readonly Cost[]>>>>;
