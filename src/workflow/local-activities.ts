/**
 * When local activities are used. SDK core 1.24 loses workflow tasks in which many updates meet them, as
 * `test/colocated/known-trouble.test.ts` shows: where updates are under way, or a person has ruled by one, all goes by activities.
 */
import { allHandlersFinished } from '@temporalio/workflow';
import { perWorkflow } from './per-workflow';

const state = perWorkflow(() => ({ isRuled: false }));

/** A person has ruled, and may rule on more at any moment: speed matters to nobody here any more. */
export function noteRuling(): void {
  state().isRuled = true;
}

export const mayAskLocally = (): boolean => !state().isRuled && allHandlersFinished();
