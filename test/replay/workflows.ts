/** The workflows whose recorded histories must go on replaying: those of the business, and one for each shape of a saga. */
import { participant, saga } from 'temporal-txn/workflow';
import type { FreeStep } from 'temporal-txn/workflow';
import type { DeclaredOperation } from '../../src/protocol';

export {
  bookTrip,
  checkout,
  coordinateTwoPhaseCommit,
  processOrder,
  runGroup,
  transferMoney,
  transferMoneyAtomically,
  transferMoneyInThreePhases,
  transferOnceApproved,
} from '../../workflows';
export { participateInThreePhaseCommit, recoverParticipant, relayOutbox } from 'temporal-txn/workflow';

type Operation = DeclaredOperation<null, string, 'compensatable'>;

interface Service {
  readonly name: string;
  readonly operations: { readonly first: Operation; readonly second: Operation; readonly third: Operation };
}

const svc = participant<Service>('svc');

export async function pivotAndTail(): Promise<string> {
  return saga(async (s) => {
    await s.step(svc.first, null);
    await s.pivot(svc.second, null);
    return s.retriable(svc.third, null);
  });
}

export async function parallel(): Promise<readonly string[]> {
  return saga(async (s) => {
    const sides = [s.step(svc.first, null, { id: 'left' }), s.step(svc.second, null, { id: 'right' })];
    const results = await Promise.all(sides);
    return [...results, await s.step(svc.third, null)];
  });
}

const inner: FreeStep<null, string> = {
  name: 'inner',
  execute: () =>
    saga(async (s) => {
      await s.step(svc.first, null);
      return s.step(svc.second, null);
    }),
  compensate: async () => undefined,
};

export async function nested(): Promise<string> {
  return saga(async (s) => {
    const result = await s.step(inner, null);
    await s.step(svc.third, null);
    return result;
  });
}
