/** docs/scaling.md and its plot, all of them made of what a run has recorded. */
import { markdownTable } from '../markdown';
import { digits, thousands } from '../throughput/tables';
import type { Table } from '../throughput/tables';
import { plotOf } from './plot';
import type { ScaleReport, Verdict } from './report';
import { SEATS } from './roles';
import { tablesOf, transfersUntil } from './tables';
import { MOST_WAITS, WAIT_SECONDS } from './waits';

/** As a run with `--write` leaves it. */
export const RECORDED_FILE = 'bench/scale/recorded.json';
const PAGE = 'docs/scaling.md';
const PLOT = 'docs/images/scaling.svg';

/** By path. */
export const filesOf = (report: ScaleReport): Readonly<Record<string, string>> => ({
  [PAGE]: pageOf(report),
  [PLOT]: plotOf(report),
});

function pageOf(report: ScaleReport): string {
  const { taken, windows, alone, opened, verdicts } = report;
  const tables = tablesOf(report);
  const show = (begin: string): string => {
    const table = tables.find(({ title }) => title.startsWith(begin));
    return table ? markdown(table) : '';
  };
  const made = thousands(transfersUntil(windows, windows.length - 1));
  return `# Scaling

<!-- Written by \`npm run bench -- scale --write\`, and again by \`npm run scaling:page\`, from ${RECORDED_FILE}. -->

${made} transfers between two banks in [groups](groups.md), and ${thousands(opened.open)} that are open at once: ${SEATS} processes each of clients, of coordinators, and of each bank's workers, on one machine. How it is measured is in [bench](../bench/README.md#scale). Every transfer is in the books of both banks, once.

![Transfers a second and memory of each process, over the transfers that have been made](images/scaling.svg)

## Does it stay as it is?

${summaryOf(verdicts)}

Said of the windows after the first fifth: the median of the slopes between any two of them, over the run. Beyond the limit is what is larger than it **and** no chance by Mann and Kendall's test, one in a hundred. CPU is what a transfer takes; it tells whether the library became slower, or others used the machine. The heap is what a process needs after it has collected its garbage, in all its threads; the memory of its own is what it has not given back to the system, and grows
until it has the pages for the busiest moment.

${show('What became')}

${show('Transfers in groups')}

${show('Memory after')}

## Open at once

${thousands(opened.open)} of ${thousands(opened.wanted)} sagas, each with a workflow of its own and a caller that waits, held between debit and credit for the same time: ${digits(opened.openingSeconds)} s to open them, and the slowest took ${digits(opened.slowestSeconds)} s besides being held. Memory of a process's own; Temporal and PostgreSQL were not asked to collect anything.

${show(`${thousands(opened.open)} open`)}

A coordinator keeps the workflows in memory that it has room for, and reads the others from Temporal again when something happens to them. A workflow whose next task it did not fetch within a second, as happens when all timers fire at once, goes on at another coordinator; its own copy stays until the room is needed for others, so not all of the memory comes back when they end. So what it needs has a bound, however many are open; what an open transaction takes for certain is its rows, and its history.

Promises of a workflow carry nothing of the others: what an open one takes does not grow with their number (\`test/saga-more/many-open.test.ts\`).

### Callers that wait

Who waits for a result is a request that Temporal holds back, and it holds back 1,200 of them in a namespace and on a frontend (\`frontend.namespaceCount\`), those of the workers included. Who comes on top of that is put off, be it a caller or a worker that asks for its next task. The client comes back less and less often then, and its wait goes on; all the same, a thousand callers that wait leave little for the workers. Here the limit was ${thousands(MOST_WAITS)}, and a request was held back for ${WAIT_SECONDS} seconds instead of 20 (\`history.longPollExpirationInterval\`): ten thousand callers ask 170 times a second then, and not 500 times. Set both where many wait, or do not wait: start, and ask for the result later. A group is one wait, however many travel in it.

## On paper

A machine with ${taken.processors} processors, on which everything runs, says what a transfer takes; not how many a cluster makes. That is as many as the scarcest of its resources allows:

\`\`\`
transfers a second = min over all resources (what there is of it × how busy it may be ÷ what a transfer takes of it)
\`\`\`

Processors of clients, coordinators, workers and databases are added as needed: neither clients nor workers know of each other, and nothing in this package is there only once. Coordinators share a task queue, workers of a participant another one. History shards are chosen when a cluster is set up, and stay: all writes of a shard are done one after the other, and a workflow is in one shard.

${show('Constants that are measured')}

CPU is that of this machine, where all of it shares ${taken.processors} processors; alone: at ${digits(alone.throughput)} transfers a second. PostgreSQL is that of both banks. Temporal is the dev server, whose four services and database are one process: a cluster needs more for calls between its services, and its database is not in it. Commits count all that a bank's database does, looks of its workers included. Writes and requests are counted by the history: a poll that brings nothing, retries, and what Temporal writes for its own queues and for visibility are not in them.

${show('Constants that are assumed')}

${show('An example')}

${show('The same with')}

In groups a transfer takes almost nothing of Temporal, so shards, frontends and Temporal's database hardly matter, and what is scarce are the processors of coordinators, workers and databases. How full the groups are decides it: each client has \`inFlight\` groups under way, and those are as large as what came meanwhile, up to \`maxSize\`. Fewer transfers a client make smaller groups, and each of them costs more; a client with nothing to group pays what a transfer alone does. So: few clients that are busy, rather than many that are not.

## The run

\`npm run bench -- scale --write\` on ${taken.on}: ${taken.processors} processors (${taken.machine}), ${taken.memoryGiB} GiB, ${taken.system}, load average before the run ${taken.load.toFixed(1)}. Node.js ${taken.node}, PostgreSQL ${taken.postgres}, Temporal ${taken.temporal} with SDK ${taken.temporalSdk}.
`;
}

const markdown = ({ title, headings, rows }: Table): string => `### ${title}\n\n${markdownTable(headings, rows)}`;

function summaryOf(verdicts: readonly Verdict[]): string {
  const beyond = verdicts.filter(({ kept }) => !kept).map(({ of }) => of);
  if (verdicts.length === 0) return 'There were too few windows to say.';
  return beyond.length === 0
    ? 'Yes: nothing is beyond its limit.'
    : `Not all of it: beyond its limit ${beyond.length === 1 ? 'is' : 'are'} ${beyond.join(', ')}.`;
}
