/** How many transfers a second: this package beside a hand-written workflow, beside other people's, and beside the limit. */
import { table } from '../../clients/lib/table';
import type { Outcome, Part, RunOptions } from '../contest';
import { writeFiles } from '../write-files';
import { openCompany } from './company';
import type { Company } from './company';
import { contestantOf, WAYS } from './contestants';
import { openBytes } from './held';
import { describeRun, loadNow } from './machine';
import { filesOf, RECORDED_FILE } from './page';
import { newestNode, ownNode, peerVersion } from './peers';
import { reportOf } from './report';
import type { Entrant, ThroughputReport } from './report';
import { Rounds } from './rounds';
import { roundsText, tablesOf } from './tables';

/** @param options whether the processes of all who take part have the Node.js of this one, though there may be a newer one */
export async function openThroughputPart(
  progress: (message: string) => void,
  options: { readonly ownNode: boolean },
): Promise<Part> {
  const began = Date.now();
  const load = loadNow();
  const company = await openCompany(progress, WAYS, options.ownNode ? ownNode() : newestNode());
  return { run: (options) => run(company, options, { began, load }), stop: company.stage.stop };
}

/** @param before when the part began, by `Date.now()`, and how busy the machine was then */
export async function run(
  company: Company,
  options: RunOptions,
  { began, load }: { readonly began: number; readonly load: number },
): Promise<Outcome & { readonly report: ThroughputReport }> {
  const { stage, node, missing } = company;
  const rounds = new Rounds(company, options);
  const played = await rounds.run(began);
  const report = reportOf({
    taken: await describeRun(stage, { load, node: node.version }),
    rounds: played,
    open: options.size.alone,
    entrants: await entrantsOf(company, rounds, options),
    missing,
    cells: rounds.cells,
  });
  return {
    report,
    text: textOf(report),
    violations: rounds.violations + (await stage.violations()),
    write: () => writeFiles({ path: RECORDED_FILE, report }, filesOf(report)),
  };
}

async function entrantsOf(company: Company, rounds: Rounds, { size, say }: RunOptions): Promise<readonly Entrant[]> {
  const entrants: Entrant[] = [];
  for (const way of company.ways) {
    const { title, peer, holds } = contestantOf(way);
    const version = peer === undefined ? undefined : peerVersion(peer);
    if (holds) say(`${way}: ${size.alone} open at once`);
    const bytes = holds ? await openBytes(company, rounds, way, size.alone) : undefined;
    entrants.push({
      way,
      title,
      ...(version === undefined ? {} : { version }),
      ...(bytes === undefined ? {} : { openBytes: bytes }),
    });
  }
  return entrants;
}

function textOf(report: ThroughputReport): string {
  const { processors, load, node } = report.taken;
  return [
    ...tablesOf(report).map(({ title, headings, rows }) => `${title}\n${table(headings, rows)}`),
    ...report.missing.map(({ title, why }) => `${title} did not take part: ${why}.`),
    `Node.js ${node}, ${processors} processors, load average before the run ${load.toFixed(1)}. ${roundsText(report.rounds)}.`,
  ].join('\n\n');
}
