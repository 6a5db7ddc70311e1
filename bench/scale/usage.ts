/** CPU time and memory, of each process of the fleet and of the servers. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { kill } from 'node:process';
import { anonymousBytes, processesBelow, residentBytes } from '../processes';
import type { Process } from '../processes';
import type { Fleet } from './fleet';
import { ROLES } from './roles';
import type { Role } from './roles';

/** Whose CPU time it is. */
export type Part = Role | 'postgres' | 'temporal';
export const PARTS: readonly Part[] = [...ROLES, 'postgres', 'temporal'];
export type Cpu = Readonly<Record<Part, number>>;

/** Of one process, or of all of a server. */
export interface Memory {
  readonly name: string;
  /** What is left in the heaps of all its threads after it has collected its garbage, with what they hold outside; of servers nobody can ask that. */
  readonly heap?: number;
  /** That no file backs, and that it shares with nobody. */
  readonly anonymous: number;
  /** All that it has, its share of what it has together with others. */
  readonly resident: number;
}

/** What collecting garbage may take, and what comes before it to an end. */
const SETTLE_MS = 500;

const SERVERS = [
  { part: 'postgres', name: 'PostgreSQL', marked: 'postgres' },
  { part: 'temporal', name: 'Temporal', marked: 'start-dev' },
] as const;

/** Seconds. All are 0 where there is no /proc. */
export function cpuSeconds({ members }: Fleet): Cpu {
  const all = processesBelow();
  const of = (mine: (process: Process) => boolean): number =>
    all.filter(mine).reduce((sum, { seconds }) => sum + seconds, 0);
  return eachPart((part) => {
    const server = SERVERS.find((server) => server.part === part);
    if (server) return of(({ command }) => command.includes(server.marked));
    const pids = members.filter(({ role }) => role === part).map(({ pid }) => pid);
    return of(({ pid }) => pids.includes(pid));
  });
}

/** After the fleet has collected its garbage, twice: what the first time has finished is freed by the second. */
export async function settledMemory({ members, heapDirectory }: Fleet): Promise<readonly Memory[]> {
  for (let i = 0; i < 2; i++) {
    await sleep(SETTLE_MS);
    for (const { pid } of members) kill(pid, 'SIGWINCH');
  }
  await sleep(SETTLE_MS);
  const own = members.map((member) => ({
    ...memoryOf(member.name, [member]),
    heap: heapOf(heapDirectory, member.pid),
  }));
  const all = processesBelow();
  const servers = SERVERS.map(({ name, marked }) =>
    memoryOf(
      name,
      all.filter(({ command }) => command.includes(marked)),
    ),
  );
  return [...own, ...servers];
}

/** As its threads have told. */
const heapOf = (directory: string, pid: number): number =>
  readdirSync(directory)
    .filter((file) => file.startsWith(`${pid}-`))
    .reduce((sum, file) => sum + Number(readFileSync(join(directory, file), 'utf8')), 0);

const memoryOf = (name: string, processes: readonly Pick<Process, 'pid'>[]): Memory => ({
  name,
  anonymous: processes.reduce((sum, process) => sum + anonymousBytes(process), 0),
  resident: processes.reduce((sum, process) => sum + residentBytes(process), 0),
});

/** The same for each part. Cast: the entries are those of the parts. */
export const eachPart = (of: (part: Part) => number): Cpu =>
  Object.fromEntries(PARTS.map((part) => [part, of(part)])) as Cpu;
