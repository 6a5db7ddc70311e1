/** Everything that a run needs: the servers, the processes of all who take part, and the books. */
import { openStage } from '../stage';
import type { Stage } from '../stage';
import { BANKS } from '../transfer';
import { startCast, SYSTEM_DATABASE } from './cast';
import { contestantOf, WAYS } from './contestants';
import type { Way } from './contestants';
import { Ledger } from './ledger';
import { newestNode, whyMissing } from './peers';
import type { NodeRelease } from './peers';
import { CALLERS } from './rounds';

export interface Company {
  readonly stage: Stage;
  readonly ledger: Ledger;
  /** Of the processes of all who take part. */
  readonly node: NodeRelease;
  /** Who takes part. */
  readonly ways: readonly Way[];
  /** Who would, and why they do not. */
  readonly missing: readonly { readonly title: string; readonly why: string }[];
  /** Where the callers of each contestant listen. */
  readonly callersUrl: (way: Way) => string;
}

/** For each contestant that has pools of its own at a bank, and some. */
const CONNECTIONS = 400;

/**
 * @param wanted who is to take part, as far as they can
 * @param node of the processes of all who take part
 */
export async function openCompany(
  progress: (message: string) => void,
  wanted: readonly Way[] = WAYS,
  node: NodeRelease = newestNode(),
): Promise<Company> {
  const asked = wanted.map((way) => ({ way, title: contestantOf(way).title, why: whyAbsent(way, node) }));
  const missing = asked.flatMap(({ title, why }) => (why === undefined ? [] : [{ title, why }]));
  for (const { title, why } of missing) progress(`${title} does not take part: ${why}`);
  const ways = asked.filter(({ why }) => why === undefined).map(({ way }) => way);
  const stage = await openStage({
    services: BANKS,
    databases: [SYSTEM_DATABASE],
    // Two-phase commit keeps a slot for every transaction that is under way.
    settings: { max_connections: CONNECTIONS, max_prepared_transactions: Math.max(...CALLERS) + 100 },
    progress,
  });
  try {
    const titles = ways.map((way) => contestantOf(way).title).join(', ');
    progress(`starting the processes of ${titles}, with Node.js ${node.version}`);
    const callersUrl = await startCast(stage, ways, node);
    return { stage, ledger: await Ledger.open(stage), node, ways, missing, callersUrl };
  } catch (error) {
    await stage.stop();
    throw error;
  }
}

function whyAbsent(way: Way, node: NodeRelease): string | undefined {
  const { peer } = contestantOf(way);
  return peer === undefined ? undefined : whyMissing(peer, node);
}
