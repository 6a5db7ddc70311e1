/** CPU time and memory of a contestant: of its own processes, of PostgreSQL, and of the server that remembers its transfers. */
import { kill } from 'node:process';
import { anonymousBytes, processesBelow } from '../processes';
import type { Process } from '../processes';
import { contestantOf, PROCESSES } from './contestants';
import type { Contestant, Way } from './contestants';

/** Seconds, or a difference of them in whatever unit. */
export interface CpuParts {
  readonly workers: number;
  readonly postgres: number;
  readonly server: number;
}

const SERVERS: Readonly<Record<NonNullable<Contestant['server']>, string>> = {
  temporal: 'start-dev',
  restate: 'restate-server',
};

/** Undefined where there is no /proc. */
export function cpuSecondsOf(way: Way): CpuParts | undefined {
  const all = processesBelow();
  if (all.length === 0) return undefined;
  const seconds = (of: (process: Process) => boolean): number =>
    all.filter(of).reduce((sum, process) => sum + process.seconds, 0);
  return {
    workers: seconds((process) => isWorker(way, process)),
    postgres: seconds(isPostgres),
    server: seconds((process) => isServer(way, process)),
  };
}

/** Has the processes of a contestant collect their garbage. */
export function collectGarbage(way: Way): void {
  for (const process of processesBelow()) if (isWorker(way, process)) kill(process.pid, 'SIGWINCH');
}

/** Without PostgreSQL: it needs memory for connections, however many transactions wait for one. Undefined where there is no /proc. */
export function memoryBytesOf(way: Way): number | undefined {
  const all = processesBelow();
  if (all.length === 0) return undefined;
  return all
    .filter((process) => isWorker(way, process) || isServer(way, process))
    .reduce((sum, process) => sum + anonymousBytes(process), 0);
}

const isWorker = (way: Way, { command }: Process): boolean =>
  contestantOf(way).processes.some((name) => command.includes(`/bench/${PROCESSES[name]}`));

const isPostgres = ({ command }: Process): boolean => command.includes('postgres');

function isServer(way: Way, { command }: Process): boolean {
  const { server } = contestantOf(way);
  return server !== undefined && command.includes(SERVERS[server]);
}
