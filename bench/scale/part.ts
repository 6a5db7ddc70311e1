/** Scale: a hundred thousand transfers one after the other, ten thousand open at once, several processes of everything. */
import { table } from '../../clients/lib/table';
import type { Outcome, Part, RunOptions } from '../contest';
import { describeRun, loadNow } from '../throughput/machine';
import { writeFiles } from '../write-files';
import { openFleet } from './fleet';
import type { Fleet } from './fleet';
import { holdOpen } from './opened';
import { filesOf, RECORDED_FILE } from './page';
import { measurePrices } from './prices';
import { reportOf } from './report';
import type { ScaleReport } from './report';
import { tablesOf } from './tables';
import { runWindows } from './windows';

export async function openScalePart(progress: (message: string) => void): Promise<Part> {
  const began = Date.now();
  const load = loadNow();
  const fleet = await openFleet(progress);
  return { run: (options) => run(fleet, options, { began, load }), stop: fleet.stage.stop };
}

/** @param before when the part began, by `Date.now()`, and how busy the machine was then */
export async function run(
  fleet: Fleet,
  options: RunOptions,
  { began, load }: { readonly began: number; readonly load: number },
): Promise<Outcome & { readonly report: ScaleReport }> {
  const { windows, made } = await runWindows(fleet, options, began);
  options.say('looking at the books');
  const wrongInWindows = await fleet.look(made);
  const { prices, alone, wrong } = await measurePrices(fleet, options, windows);
  const held = await holdOpen(fleet, options.size.alone, alone.throughput, options.say);
  const violations = wrongInWindows + wrong + held.wrong + (await fleet.stage.violations());
  const report = reportOf({
    taken: await describeRun(fleet.stage, { load, node: process.versions.node }),
    windows,
    alone,
    prices,
    opened: held.opened,
  });
  return {
    report,
    text: tablesOf(report)
      .map(({ title, headings, rows }) => `${title}\n${table(headings, rows)}`)
      .join('\n\n'),
    violations,
    write: () => writeFiles({ path: RECORDED_FILE, report }, filesOf(report)),
  };
}
