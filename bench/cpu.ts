/**
 * CPU seconds of the processes below this one, by what they are. Where machines are shared this tells more than a clock:
 * who else is at work makes everything late, and adds little to what it costs. Linux only.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** The worker processes of a way are told by the folder of their main module. */
export type WorkerFolder = 'saga' | 'hand-written' | 'two-phase' | 'direct' | 'protocols';
export type Part = 'temporal' | 'postgres' | WorkerFolder;
export type Cpu = Readonly<Record<Part, number>>;

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly seconds: number;
  readonly command: string;
}

/** Linux counts in hundredths of a second, whatever its kernel's own tick. */
const TICKS_PER_SECOND = 100;

/** Undefined where there is no /proc. */
export function cpuSeconds(): Cpu | undefined {
  const processes = readProcesses();
  if (processes.length === 0) return undefined;
  const all = below(process.pid, processes);
  return eachPart((part) =>
    all.reduce((sum, { command, seconds }) => (partOf(command) === part ? sum + seconds : sum), 0),
  );
}

/** The same for each part. */
export const eachPart = (of: (part: Part) => number): Cpu => ({
  temporal: of('temporal'),
  postgres: of('postgres'),
  saga: of('saga'),
  'hand-written': of('hand-written'),
  'two-phase': of('two-phase'),
  direct: of('direct'),
  protocols: of('protocols'),
});

function partOf(command: string): Part | undefined {
  const [, folder] = /\/bench\/(saga|hand-written|two-phase|direct|protocols)\//.exec(command) ?? [];
  if (folder !== undefined) return folder as WorkerFolder; // Cast: the expression has these and no others.
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
