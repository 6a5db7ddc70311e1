/** Participants that always agree, for counting what a transaction takes from Temporal. */
import { Context } from '@temporalio/activity';
import type { FinishRequest, PrepareRequest } from '../../src/protocol';
import type { Activities } from '../../src/testing';

export const result = { balance: 900 };

/** An operation that votes as it is asked to. */
export function agreeing(operation: string, vote: 'commit' | 'read-only' = 'commit'): Activities {
  const applied = async ({ wantsResult }: FinishRequest): Promise<unknown> => ({
    kind: 'applied',
    ...(wantsResult ? { result } : {}),
  });
  return {
    [operation]: async () => ({ answer: 'applied', result }),
    [`${operation}.prepare`]: async ({ transaction, branch, token, votes }: PrepareRequest) => {
      const { client, info } = Context.current();
      const coordinator = client.workflow.getHandle(info.workflowExecution?.workflowId ?? '');
      if (votes === 'signal') await coordinator.signal('vote', { transaction, branch, token, vote });
      return { vote, result };
    },
    [`${operation}.preCommit`]: async () => 'done',
    [`${operation}.decide`]: async (request: FinishRequest) => ({
      decision: 'commit',
      by: 'coordinator',
      ack: await applied(request),
    }),
    [`${operation}.commit`]: applied,
    [`${operation}.try`]: async () => ({ vote, result }),
    [`${operation}.confirm`]: applied,
  };
}
