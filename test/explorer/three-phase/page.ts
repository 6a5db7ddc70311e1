/** The part of the page that is about three-phase commit. */
import { explore } from '../engine';
import { LIMITS } from './configurations';
import type { Limit } from './configurations';
import { ThreePhaseCommit } from './model';
import { CLASSIC_MUTANTS, CLASSIC_SURVIVORS, MUTANTS, SURVIVORS } from './mutants';
import type { Mutant, Survivor } from './mutants';
import { SHIPPED } from './world';

const INTRODUCTION = `# What breaks three-phase commit without

The same for three-phase commit: the shipped program of a participant, with a coordinator that may be lost or start anew between
any two messages, in a network where messages are lost, late, out of order or come twice, and timers fire at any time. The promises
here: all decisions are alike; commit is decided when all have voted for it and are prepared; a pre-commit is written down before
it is acknowledged; and whatever has happened, those who are left come to an end without the coordinator as soon as they reach the
register. A, B and C are participants.`;

const SECOND_LINE = `# The second line of three-phase commit

Without these nothing breaks, because the register decides.`;

const LIMITS_OF_CLASSIC = `# Where the classic rule splits a transaction

\`mode: 'classic-unsafe'\` goes without a register: who hears nothing decides with those who still answer. It keeps its promises, and
never waits for the coordinator, as long as messages arrive in time, a timer outlasts everything that is under way, and no more than
the coordinator and one participant crash, which comes back while the others still answer. Beyond that it commits one branch and
aborts another. These are the shortest ways, with two participants; with three participants each has its like.`;

const CLASSIC_WITHOUT = `# What breaks the classic rule without

Within those limits: the coordinator crashes, and a participant at most, which comes back.`;

const CLASSIC_SECOND_LINE = `# The second line of the classic rule

Within the same limits, nothing breaks without these.`;

export const THREE_PHASE_SECTIONS = (): readonly string[] => [
  INTRODUCTION,
  ...MUTANTS.map(sectionOf),
  SECOND_LINE,
  ...SURVIVORS.map(survivorOf),
  LIMITS_OF_CLASSIC,
  ...LIMITS.filter(({ participants }) => participants === 2).map(limitOf),
  CLASSIC_WITHOUT,
  ...CLASSIC_MUTANTS.map(sectionOf),
  CLASSIC_SECOND_LINE,
  ...CLASSIC_SURVIVORS.map(survivorOf),
];

function sectionOf({ mechanism, purpose, without, circumstances, mechanisms }: Mutant): string {
  const { trace, broken } = violationOf(mechanism, circumstances, mechanisms);
  return [
    `## ${mechanism}`,
    purpose,
    `**Without it:** ${lower(without)} Then, in ${trace.length} steps:`,
    listOf(trace),
    `**Broken:** ${broken}.`,
  ].join('\n\n');
}

function limitOf({ name, because, ...circumstances }: Limit): string {
  const { trace, broken } = violationOf(name, circumstances);
  return [`## ${name}`, because, `In ${trace.length} steps:`, listOf(trace), `**Broken:** ${broken}.`].join('\n\n');
}

function violationOf(name: string, circumstances: Mutant['circumstances'], mechanisms: Mutant['mechanisms'] = {}) {
  const { violation } = explore(new ThreePhaseCommit(circumstances, { ...SHIPPED, ...mechanisms }), 1_000_000);
  if (!violation) throw new Error(`Nothing breaks: ${name}.`);
  return violation;
}

const survivorOf = ({ mechanism, purpose, without, because }: Survivor): string =>
  [`## ${mechanism}`, purpose, `**Without it:** ${lower(without)} **Still:** ${lower(because)}`].join('\n\n');

const listOf = (trace: readonly string[]): string => trace.map((sentence, i) => `${i + 1}. ${sentence}`).join('\n');

const lower = (sentence: string): string => sentence.replace(/^[A-Z](?=[a-z ])/, (first) => first.toLowerCase());
