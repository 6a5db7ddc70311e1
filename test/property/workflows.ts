/** Carries out any saga that is given as data. */
import { participant, saga } from 'temporal-txn/workflow';
import type { Saga, SettledSagaReport } from 'temporal-txn/workflow';
import type { DeclaredOperation } from '../../src/protocol';
import type { SagaPlan, Tree } from './plan';

interface Service {
  readonly name: string;
  readonly operations: { readonly work: DeclaredOperation<null, string, 'compensatable'> };
}

const svc = participant<Service>('svc');

async function carryOut(s: Saga, tree: Tree): Promise<void> {
  switch (tree.kind) {
    case 'step':
      await s.step(svc.work, null, { id: tree.id });
      return;
    case 'sequence':
      for (const child of tree.children) await carryOut(s, child);
      return;
    case 'parallel':
      await Promise.all(tree.children.map((child) => carryOut(s, child)));
  }
}

export async function anySaga({ body, pivot, tail }: SagaPlan): Promise<SettledSagaReport<string>> {
  return saga.settle(
    async (s) => {
      await carryOut(s, body);
      if (pivot !== undefined) await s.pivot(svc.work, null, { id: pivot });
      for (const id of tail) await s.retriable(svc.work, null, { id });
      return 'committed';
    },
    // By the real clock: a step that never answers has to be given up soon.
    { steps: { retry: { initialInterval: '10 milliseconds', maximumAttempts: 5 } } },
  );
}
