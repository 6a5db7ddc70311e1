/** The processes below this one, from /proc. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Process {
  readonly pid: number;
  readonly parent: number;
  /** CPU time, its own and that of its children that have ended. */
  readonly seconds: number;
  readonly command: string;
}

/** Linux counts in hundredths of a second, whatever its kernel's own tick. */
const TICKS_PER_SECOND = 100;

/** None where there is no /proc. */
export function processesBelow(): readonly Process[] {
  const all = readProcesses();
  const below = (pid: number): readonly Process[] => {
    const children = all.filter(({ parent }) => parent === pid);
    return children.flatMap((child) => [child, ...below(child.pid)]);
  };
  return below(process.pid);
}

/** Memory that is the process's alone and no file's: not what PostgreSQL's processes share. 0 when it has ended. */
export function anonymousBytes({ pid }: Pick<Process, 'pid'>): number {
  try {
    const [, kibibytes = '0'] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kibibytes) * 1024;
  } catch {
    return 0;
  }
}

/** Memory that it has, files and all, and its share of what it has together with others: so the sum over several counts nothing twice. 0 when it has ended. */
export function residentBytes({ pid }: Pick<Process, 'pid'>): number {
  try {
    const [, kibibytes = '0'] = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
    return Number(kibibytes) * 1024;
  } catch {
    return 0;
  }
}

function readProcesses(): readonly Process[] {
  try {
    return readdirSync('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? readProcess(Number(entry)) : []));
  } catch {
    return [];
  }
}

function readProcess(pid: number): Process[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // After the name, which may hold anything: state, parent, …; from the 12th on user and system time, its own and that of
    // children that ended, as PostgreSQL's sessions do.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    const seconds = ticks / TICKS_PER_SECOND;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return [{ pid, parent: Number(fields[1]), seconds, command }];
  } catch {
    return []; // It ended between the listing and the look.
  }
}
