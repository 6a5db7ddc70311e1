/** docs/performance.md and its plot, all of them made of what a run has recorded. */
import { markdownTable } from '../markdown';
import { plotOf } from './plot';
import type { ThroughputReport } from './report';
import { tablesOf, thousands } from './tables';

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
forced to disk. Every one of them has the same two local transactions, each of which can be repeated without a second effect. How it is measured is in [bench](../bench/README.md). Read the ratios: transfers a second are those of one
machine, and of Temporal's dev server, which keeps its histories in one file.

![Transfers a second and median latency over the number of callers, of every contestant](images/throughput.svg)

${tablesOf(report)
  .map(({ title, headings, rows }) => `## ${title}\n\n${markdownTable(headings, rows)}`)
  .join('\n\n')}

## The run

\`npm run bench -- throughput --write\` on ${taken.on}: ${taken.processors} processors (${taken.machine}), ${taken.memoryGiB} GiB, ${taken.system}, load average before the run ${taken.load.toFixed(1)}. ${rounds === 1 ? 'One round' : `${thousands(rounds)} rounds`}: medians, in brackets least and most.

- Node.js ${taken.node}, PostgreSQL ${taken.postgres}, Temporal ${taken.temporal} with SDK ${taken.temporalSdk}${versions.length > 0 ? `, ${versions.join(', ')}` : ''}.
${missing.map(({ title, why }) => `- ${title} did not take part: ${why}.\n`).join('')}`;
}
