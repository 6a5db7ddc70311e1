/** The four protocols against each other: the same transfer between two banks. */
import { measureRounds } from '../contest';
import type { Outcome, Part, RunOptions } from '../contest';
import { costOfAll } from '../cost';
import type { Cost } from '../cost';
import { numbersOf } from '../measure';
import type { Contest, Size } from '../measure';
import { openStage } from '../stage';
import type { Stage } from '../stage';
import { accountOf, BANKS } from '../transfer';
import type { Transfer } from '../transfer';
import { readKept } from './locks';
import { RESERVABLE } from './operations';
import { reportOf, textOf } from './report';
import type { MeasuredRound } from './report';
import { WAYS, WORKFLOWS, workflowsOf } from './ways';
import type { Costs, Way } from './ways';

export async function openProtocolsPart(progress: (message: string) => void): Promise<Part> {
  const began = Date.now();
  const stage = await openStage({ services: BANKS, settings: { track_commit_timestamp: true }, progress });
  try {
    progress('starting a coordinator and two banks, for all protocols');
    for (const bank of BANKS) await stage.pool(bank).query(RESERVABLE);
    await startWorkers(stage);
    return { run: (options) => run(stage, options, began), stop: stage.stop };
  } catch (error) {
    await stage.stop();
    throw error;
  }
}

async function startWorkers({ startProcess, databaseUrl }: Stage): Promise<void> {
  await Promise.all([
    startProcess('coordinator', 'protocols/workflow-worker.js'),
    ...BANKS.map((bank) =>
      startProcess(bank, 'protocols/participant-worker.js', { SERVICE_NAME: bank, DATABASE_URL: databaseUrl(bank) }),
    ),
  ]);
}

const contestOn = ({ transactions }: Stage): Contest<Way> => ({
  ways: WAYS,
  // Takes as long as the others together.
  brief: ['3pc'],
  settleMs: 50,
  transfer: async (way, n) => {
    const input: Transfer = { from: accountOf(n), to: accountOf(n), amount: 1, currency: 'EUR' };
    await transactions.execute<Transfer, number>(WORKFLOWS[way], { id: `${way}-${n}`, input });
  },
});

async function run(stage: Stage, options: RunOptions, began: number): Promise<Outcome> {
  const { size, say } = options;
  const rounds = await measureRounds(contestOn(stage), options, began);
  say('reading locks and histories');
  const kept = await readKept(stage);
  const measured: MeasuredRound[] = rounds.map(({ first, samples }) => ({
    samples,
    alone: kept.filter(({ n }) => n >= first && n < first + size.alone),
    together: kept.filter(({ n }) => n >= first + size.alone && n < first + numbersOf(size)),
  }));
  const report = reportOf(measured, size, await readCosts(stage, rounds.at(-1)?.first ?? 0, size));
  return { report, text: textOf(report), violations: await stage.violations() };
}

async function readCosts({ historyOf }: Stage, first: number, { alone }: Size): Promise<Costs> {
  const costs: Partial<Record<Way, readonly Cost[]>> = {};
  for (const way of WAYS)
    costs[way] = await Promise.all(
      Array.from({ length: alone }, async (_, i) => {
        const workflows = workflowsOf(way, `${way}-${first + i}`);
        return costOfAll(await Promise.all(workflows.map(historyOf)));
      }),
    );
  return costs as Costs; // Cast: the loop has filled it.
}
