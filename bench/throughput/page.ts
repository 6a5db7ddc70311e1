/** docs/performance.md and its plot, all of them made of what a run has recorded. */
import { markdownTable } from '../markdown';
import { contestantOf, WORKFLOW_WORKERS } from './contestants';
import { plotOf } from './plot';
import type { Entrant, ThroughputReport } from './report';
import { roundsText, tablesOf } from './tables';

/** As a run with `--write` leaves it. */
export const RECORDED_FILE = 'bench/throughput/recorded.json';
const PAGE = 'docs/performance.md';
const PLOT = 'docs/images/throughput.svg';

/** By path. */
export const filesOf = (report: ThroughputReport): Readonly<Record<string, string>> => ({
  [PAGE]: pageOf(report),
  [PLOT]: plotOf(report),
});

function pageOf(report: ThroughputReport): string {
  const { taken, rounds, missing, entrants } = report;
  const versions = entrants.flatMap(({ title, version }) => (version === undefined ? [] : [`${title} ${version}`]));
  return `# Performance

<!-- Written by \`npm run bench -- throughput --write\`, and again by \`npm run performance:page\`, from ${RECORDED_FILE}. -->

The same transfer, a debit at one bank and a credit at another, each bank with a database on a PostgreSQL server of its own, made in turns by this package and by others: in one run, on one machine, on the same PostgreSQL, everything
forced to disk. How it is measured is in [bench](../bench/README.md). Read the ratios: transfers a second are those of one machine, and of Temporal's dev server, which keeps its histories in one file.

${whatIsCompared(entrants)}

![Transfers a second and median latency over the number of callers, of every contestant](images/throughput.svg)

${tablesOf(report)
  .map(({ title, headings, rows }) => `## ${title}\n\n${markdownTable(headings, rows)}`)
  .join('\n\n')}

## The run

\`npm run bench -- throughput --write\` on ${taken.on}: ${taken.processors} processors (${taken.machine}), ${taken.memoryGiB} GiB, ${taken.system}, load average before the run ${taken.load.toFixed(1)}. ${roundsText(rounds)}.

- Node.js ${taken.node}, PostgreSQL ${taken.postgres}, Temporal ${taken.temporal} with SDK ${taken.temporalSdk}${versions.length > 0 ? `, ${versions.join(', ')}` : ''}.
${shortStacks(entrants)}${missing.map(({ title, why }) => `- ${title} did not take part: ${why}.\n`).join('')}`;
}

const titlesOf = (entrants: readonly Entrant[]): string =>
  new Intl.ListFormat('en-GB').format(entrants.map(({ title }) => `\`${title}\``));

/** Whose transfers are two local transactions each, and whose are not. */
function whatIsCompared(entrants: readonly Entrant[]): string {
  const inSets = entrants.filter(({ way }) => contestantOf(way).sets);
  const alike =
    'the same two local transactions for each transfer, with the same statements on the same rows, each of which can be repeated without a second effect';
  if (inSets.length === 0) return `All of them have ${alike}.`;
  return `**A local transaction for each movement:** all but ${titlesOf(inSets)} have ${alike}.

**Many movements in one local transaction:** those others are set-based. What many transfers ask a bank for at the same moment it does together, in a few statements and with one commit for all, where an operation has [\`executeMany\`](participants.md#many-at-a-time).
Nobody else here does that. So beside the others they show what sets are worth, and not only what it costs to remember a transfer. Direct pg commits each movement by itself: it is the limit of the others, and none of these. Their aims have a table of their own.`;
}

/** A setting that not all of them have. */
function shortStacks(entrants: readonly Entrant[]): string {
  const others = entrants.filter(
    ({ way }) => !contestantOf(way).processes.some((process) => WORKFLOW_WORKERS.includes(process)),
  );
  if (others.length === entrants.length) return '';
  const without = others.length === 0 ? '' : ` Without it: ${titlesOf(others)}.`;
  return `- Workers of Temporal's workflows have \`NODE_OPTIONS=--stack-trace-limit=1\`, as [groups](groups.md#sizes) advises.${without}\n`;
}
