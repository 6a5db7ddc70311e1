import { participant, saga } from 'temporal-txn/workflow';
import type { BranchOperation } from 'temporal-txn/workflow';
type Op = BranchOperation<{ n: number }, { ok: number }, 'compensatable'>;
const svc = participant<never>('svc') as unknown as Record<string, Op>;
export async function smoke(n: number): Promise<number> {
  return saga(async (s) => {
    const a = await s.step(svc['first']!, { n });
    const b = await s.step(svc['second']!, { n });
    return a.ok + b.ok;
  });
}
