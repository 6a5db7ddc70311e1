/** Everything that a run needs: the servers, several processes of each service and of its users, and the books. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { HANDLED } from '../hand-written/activities';
import { openStage } from '../stage';
import type { Stage } from '../stage';
import { askForBlock } from '../throughput/block';
import type { Block, BlockAnswer } from '../throughput/block';
import { COLLECTOR, SHORT_STACKS } from '../throughput/cast';
import { Ledger } from '../throughput/ledger';
import { BANKS } from '../transfer';
import { ROLES, SCRIPTS, SEATS } from './roles';
import type { Role } from './roles';
import { DYNAMIC_CONFIG } from './waits';

/** Several times as many as the pools of all workers have. */
const CONNECTIONS = 200;

interface Member {
  readonly name: string;
  readonly role: Role;
  readonly pid: number;
  /** Where it answers. */
  readonly url: string;
}

export interface Fleet {
  readonly stage: Stage;
  readonly members: readonly Member[];
  /** Where processes tell how large their heaps are, see throughput/collector.ts. */
  readonly heapDirectory: string;
  /** Has the clients make so many transfers, each its part, that nobody has made before. */
  readonly make: (block: Omit<Block, 'first'>) => Promise<Made>;
  /** Looks at the books. @returns how many entries of what was made since the last look are wrong or missing */
  readonly look: (made: readonly Made[]) => Promise<number>;
  /** Debits since the last look. */
  readonly debits: () => Promise<number>;
}

/** What all clients have made. */
export interface Made extends BlockAnswer {
  readonly way: string;
  readonly first: number;
}

export async function openFleet(progress: (message: string) => void): Promise<Fleet> {
  const stage = await openStage({
    services: BANKS,
    settings: { max_connections: CONNECTIONS },
    dynamicConfig: DYNAMIC_CONFIG,
    progress,
  });
  try {
    for (const bank of BANKS) await stage.pool(bank).query(HANDLED);
    progress(`starting ${SEATS} processes each of ${ROLES.join(', ')}`);
    const heapDirectory = join(stage.directory, 'heaps');
    mkdirSync(heapDirectory);
    const members = await Promise.all(
      ROLES.flatMap((role) => seats.map((seat) => startMember(stage, heapDirectory, role, seat))),
    );
    const ledger = await Ledger.open(stage);
    const next = new Map<string, number>();
    const clients = members.filter(({ role }) => role === 'client');
    return {
      stage,
      members,
      heapDirectory,
      make: async (block) => {
        const first = next.get(block.way) ?? 0;
        next.set(block.way, first + block.count);
        return { way: block.way, first, ...joined(await Promise.all(partsOf(block, first, clients))) };
      },
      look: async (made) => {
        const [one] = made;
        if (!one) return 0;
        const count = made.reduce((sum, { count }) => sum + count, 0);
        const refused = made.flatMap(({ refused }) => refused);
        return ledger.check({ way: one.way, first: one.first, count, refused });
      },
      debits: () => ledger.debits(),
    };
  } catch (error) {
    await stage.stop();
    throw error;
  }
}

const seats = Array.from({ length: SEATS }, (_, i) => i + 1);

async function startMember(stage: Stage, heapDirectory: string, role: Role, seat: number): Promise<Member> {
  const name = `${role} ${seat}`;
  const bank = BANKS.find((bank) => bank === role);
  const own = bank ? { SERVICE_NAME: bank, DATABASE_URL: stage.databaseUrl(bank) } : {};
  const env = { HEAP_DIRECTORY: heapDirectory, ...(role === 'coordinator' ? SHORT_STACKS : own) };
  const { pid, healthUrl } = await stage.startProcess(name, SCRIPTS[role], env, { preload: [COLLECTOR] });
  if (pid === undefined) throw new Error(`Nothing was measured: ${name} has ended.`);
  return { name, role, pid, url: healthUrl };
}

/** Each client has a part of the numbers and of the callers. */
const partsOf = (
  block: Omit<Block, 'first'>,
  first: number,
  clients: readonly Member[],
): readonly Promise<BlockAnswer>[] => {
  const end = (i: number): number => Math.floor((block.count * i) / clients.length);
  const callers = Math.ceil(block.callers / clients.length);
  return clients.map(({ url }, i) =>
    askForBlock(url, { ...block, first: first + end(i), count: end(i + 1) - end(i), callers }),
  );
};

const joined = (answers: readonly BlockAnswer[]): BlockAnswer => ({
  count: answers.reduce((sum, { count }) => sum + count, 0),
  seconds: Math.max(...answers.map(({ seconds }) => seconds)),
  latenciesMs: answers.flatMap(({ latenciesMs }) => latenciesMs),
  refused: answers.flatMap(({ refused }) => refused),
});
