/** Two texts are kept by two services, or neither is: by a saga, and by two-phase commit. */
import { proxyActivities } from '@temporalio/workflow';
import { branch, groupOf, participant, saga, twoPhaseCommit } from 'temporal-txn/workflow';
import type { vault } from './operations';

const left = participant<typeof vault>('left');
const right = participant<typeof vault>('right');

export interface Texts {
  readonly left: string;
  readonly right: string;
}

export async function keepBySaga(texts: Texts): Promise<readonly string[]> {
  const retry = { initialInterval: '100 milliseconds', maximumInterval: '500 milliseconds' } as const;
  return saga(
    async (s) => {
      const one = await s.step(left.put, { text: texts.left }, { summary: 'the left one' });
      const two = await s.step(right.put, { text: texts.right });
      return [one.kept, two.kept];
    },
    { steps: { retry: texts.right.includes('twice') ? { ...retry, maximumAttempts: 2 } : retry } },
  );
}

export async function keepAtOnce(texts: Texts): Promise<readonly string[]> {
  const [one, two] = await twoPhaseCommit([
    branch(left.put, { text: texts.left }),
    branch(right.put, { text: texts.right }),
  ]);
  return [one.kept, two.kept];
}

export const runGroup = groupOf({ keepBySaga, keepAtOnce });

/** Has something said, however often that takes. */
export async function hasSaid(what: string): Promise<string> {
  const { say } = proxyActivities<{ say: (what: string) => Promise<string> }>({
    startToCloseTimeout: '2 seconds',
    retry: { initialInterval: '100 milliseconds', maximumInterval: '200 milliseconds' },
  });
  return say(what === 'a command' ? 'poison' : what);
}
