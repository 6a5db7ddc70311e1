/** The page that tells what each mechanism of the commit protocols is for, by the shortest way into harm without it. */
import { explore } from './engine';
import { SHIPPED } from './mechanisms';
import { TwoPhaseCommit } from './model';
import { MUTANTS, SURVIVORS } from './mutants';
import type { Mutant } from './mutants';
import { THREE_PHASE_SECTIONS } from './three-phase/page';

export const PAGE = 'docs/what-breaks-without.md';

export function writePage(): string {
  const twoPhase = [INTRODUCTION, ...MUTANTS.map(sectionOf), SECOND_LINE, ...SURVIVORS.map(survivorOf)];
  return `${[...twoPhase, ...THREE_PHASE_SECTIONS()].join('\n\n')}\n`;
}

const INTRODUCTION = `# What breaks without

Each mechanism of two-phase commit is here because of a way in which things go wrong without it. These ways were not thought
up: a program tries everything that can happen to a transaction, in the shipped code of the protocol, with one mechanism taken
away, and prints the shortest way to a broken promise. With the mechanism in place it finds none. How it does that is in
\`test/explorer/\`; this page is written by \`npm run explore:page\`, and a test compares it. Three-phase commit comes after it.

The promises: all branches take effect or none; each at most once; the decision never changes; the client hears only what is
true; nothing stays prepared for ever; a vote to abort is final; nobody is called to help where nobody interfered. "The primary" is the first branch, whose
database has the register. 42704 is what PostgreSQL answers when it does not know a gid. An attempt that is "given up" was
declared dead by Temporal and goes on beside its retry.`;

const SECOND_LINE = `# What stands in the second line

Without these nothing breaks, as long as the others are in place. They are kept: each makes a bad moment shorter.`;

function sectionOf({ mechanism, purpose, without, circumstances, mechanisms }: Mutant): string {
  const { violation } = explore(new TwoPhaseCommit(circumstances, { ...SHIPPED, ...mechanisms }), 1_000_000);
  if (!violation) throw new Error(`Nothing breaks without: ${mechanism}.`);
  return [
    `## ${mechanism}`,
    purpose,
    `**Without it:** ${lower(without)} Then, in ${violation.trace.length} steps:`,
    violation.trace.map((sentence, i) => `${i + 1}. ${sentence}`).join('\n'),
    `**Broken:** ${violation.broken}.`,
  ].join('\n\n');
}

const survivorOf = ({ mechanism, purpose, without, because }: (typeof SURVIVORS)[number]): string =>
  [`## ${mechanism}`, `${purpose}`, `**Without it:** ${lower(without)} **Still:** ${lower(because)}`].join('\n\n');

const lower = (sentence: string): string => sentence.replace(/^[A-Z](?=[a-z ])/, (first) => first.toLowerCase());
