/** What Temporal has to do for a block: of all workflows that were started in it, by their histories. */
import { setTimeout as sleep } from 'node:timers/promises';
import { costOf } from '../cost';
import type { Cost } from '../cost';
import type { Stage } from '../stage';

/** For each transfer. */
export interface BlockCost {
  readonly workflows: number;
  readonly events: number;
  readonly actions: number;
}

/** Histories that are read; what they say is taken for what the others would. */
const SAMPLES = 16;
const SETTLE_MS = 200;
/** Participants run it, whether or not there are transfers. */
const RECOVERY = 'recoverParticipant';

/** @param since when the block began; nothing else may run since then */
export async function costOfBlock(stage: Stage, since: Date, transfers: number): Promise<BlockCost> {
  const { workflows, perTransfer } = await costsSince(stage, since, transfers);
  return { workflows, events: perTransfer('events'), actions: perTransfer('actions') };
}

/** The same, to be asked for whatever a history tells. */
export async function costsSince(
  stage: Stage,
  since: Date,
  transfers: number,
): Promise<{ readonly workflows: number; readonly perTransfer: (of: keyof Cost) => number }> {
  const ids = await startedSince(stage, since);
  const step = Math.max(1, Math.floor(ids.length / SAMPLES));
  const sampled = ids.filter((_, i) => i % step === 0);
  const costs = await Promise.all(sampled.map(async (id) => costOf(await stage.historyOf(id))));
  return {
    workflows: ids.length / transfers,
    perTransfer: (of) => (costs.reduce((sum, cost) => sum + cost[of], 0) / sampled.length) * (ids.length / transfers),
  };
}

/** The list is filled some time after a workflow starts: asked until it stays the same. */
async function startedSince({ client }: Stage, since: Date): Promise<readonly string[]> {
  const query = `StartTime >= '${since.toISOString()}' and WorkflowType != '${RECOVERY}'`;
  for (let known = -1; ;) {
    const ids: string[] = [];
    for await (const { workflowId } of client.workflow.list({ query })) ids.push(workflowId);
    if (ids.length === known) return ids;
    known = ids.length;
    await sleep(SETTLE_MS);
  }
}
