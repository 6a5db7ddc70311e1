/**
 * CPU seconds of the processes below this one, by what they are. Where machines are shared this tells more than a clock:
 * who else is at work makes everything late, and adds little to what it costs. Linux only.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Way } from './transfer';

export type Part = 'temporal' | 'postgres' | Way;
export type CpuSeconds = Readonly<Record<Part, number>>;

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly seconds: number;
  readonly command: string;
}

/** Linux counts in hundredths of a second, whatever its kernel's own tick. */
const TICKS_PER_SECOND = 100;

/** Undefined where there is no /proc. */
export function cpuSeconds(): CpuSeconds | undefined {
  const processes = readProcesses();
  if (processes.length === 0) return undefined;
  const sum: Record<Part, number> = { temporal: 0, postgres: 0, saga: 0, 'hand-written': 0 };
  for (const { command, seconds } of below(process.pid, processes)) {
    const part = partOf(command);
    if (part !== undefined) sum[part] += seconds;
  }
  return sum;
}

function partOf(command: string): Part | undefined {
  if (command.includes('/bench/saga/')) return 'saga';
  if (command.includes('/bench/hand-written/')) return 'hand-written';
  if (command.includes('postgres')) return 'postgres';
  if (command.includes('start-dev')) return 'temporal';
  return undefined;
}

function below(pid: number, all: readonly Process[]): readonly Process[] {
  const children = all.filter(({ parent }) => parent === pid);
  return children.flatMap((child) => [child, ...below(child.pid, all)]);
}

const readProcesses = (): readonly Process[] => {
  try {
    return readdirSync('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? readProcess(Number(entry)) : []));
  } catch {
    return [];
  }
};

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
