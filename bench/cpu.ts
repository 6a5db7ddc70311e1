/**
 * CPU seconds of the processes below this one, by what they are. Where machines are shared this tells more than a clock:
 * who else is at work makes everything late, and adds little to what it costs. Linux only.
 */
import { processesBelow } from './processes';

/** The worker processes of a way are told by the folder of their main module. */
export type WorkerFolder = 'saga' | 'hand-written' | 'two-phase' | 'direct' | 'protocols';
export type Part = 'temporal' | 'postgres' | WorkerFolder;
export type Cpu = Readonly<Record<Part, number>>;

/** Undefined where there is no /proc. */
export function cpuSeconds(): Cpu | undefined {
  const all = processesBelow();
  if (all.length === 0) return undefined;
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
