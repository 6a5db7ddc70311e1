/**
 * The update `decision`: answers as soon as the transaction is decided, while branches may still be following. For clients
 * that go on at the decision; nobody else pays for it.
 */
import { condition, defineUpdate, setHandler } from '@temporalio/workflow';
import type { Decided, DecisionNotice } from '../protocol';
import { membership } from './context';
import type { TransactionContext } from './context';
import { outside } from './outside';
import { perWorkflow } from './per-workflow';

export const decisionUpdate = defineUpdate<DecisionNotice>('decision');

const announcement = perWorkflow<{ open: boolean; notice?: DecisionNotice }>(() => ({ open: false }));

/** Offers the update for the first outermost transaction of the workflow: the one whose client knows it. */
export function openAnnouncement({ outermost }: TransactionContext): void {
  // A group is no transaction that a client would ask.
  const state = announcement();
  if (state.open || !outermost || membership()) return;
  state.open = true;
  outside(() =>
    setHandler(
      decisionUpdate,
      async () => {
        await condition(() => state.notice !== undefined);
        return state.notice as DecisionNotice; // Cast: the line above waits for it.
      },
      { description: 'Answers as soon as the transaction is decided' },
    ),
  );
}

/** Says what was decided, and that nothing more will be. */
export function announce({ id, outermost }: TransactionContext, decided: Decided): void {
  if (outermost && !membership()) announcement().notice ??= { ...decided, transaction: id };
}
