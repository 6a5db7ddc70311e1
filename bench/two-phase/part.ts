/** Two-phase commit against a saga and against the bare statements of PostgreSQL: the same transfer in three databases. */
import { measureRounds } from '../contest';
import type { Outcome, Part, RunOptions } from '../contest';
import { costOf } from '../cost';
import type { Cost } from '../cost';
import { askForTransfer } from '../direct/client';
import { DECISION } from '../direct/two-phase-commit';
import { numbersOf } from '../measure';
import type { Contest, Size } from '../measure';
import { openStage } from '../stage';
import type { Service, Stage } from '../stage';
import { readHolds } from './locks';
import { reportOf, textOf } from './report';
import type { MeasuredRound } from './report';
import { ASKING_WAYS, asksForDecision, HISTORY_WAYS, WAYS } from './ways';
import type { CostSamples, HistoryWay, Way } from './ways';
import { accountOf } from '../transfer';
import type { Transfer } from '../transfer';

const SERVICES: readonly Service[] = ['north-bank', 'south-bank', 'audit'];
/** By way: the decision is asked of the same workflows. */
const WORKFLOWS = {
  saga: 'transferInSteps',
  signal: 'transferByVotes',
  answer: 'transferByAnswers',
  'signal-decision': 'transferByVotes',
  'answer-decision': 'transferByAnswers',
} as const satisfies Record<Exclude<Way, 'direct'>, string>;

export async function openTwoPhasePart(progress: (message: string) => void): Promise<Part> {
  const began = Date.now();
  const stage = await openStage({ services: SERVICES, settings: { track_commit_timestamp: true }, progress });
  try {
    progress('starting a coordinator, three participants and a process without a coordinator');
    await stage.pool('north-bank').query(DECISION);
    const url = await startWorkers(stage);
    return { run: (options) => run(stage, contestOn(stage, url), options, began), stop: stage.stop };
  } catch (error) {
    await stage.stop();
    throw error;
  }
}

async function startWorkers({ startProcess, databaseUrl }: Stage): Promise<string> {
  const [direct] = await Promise.all([
    startProcess('direct', 'direct/direct-worker.js', {
      NORTH_DATABASE_URL: databaseUrl('north-bank'),
      SOUTH_DATABASE_URL: databaseUrl('south-bank'),
      AUDIT_DATABASE_URL: databaseUrl('audit'),
    }),
    startProcess('coordinator', 'two-phase/workflow-worker.js'),
    ...SERVICES.map((service) =>
      startProcess(service, 'two-phase/participant-worker.js', {
        SERVICE_NAME: service,
        DATABASE_URL: databaseUrl(service),
      }),
    ),
  ]);
  return direct.healthUrl;
}

const contestOn = ({ transactions }: Stage, directUrl: string): Contest<Way> => ({
  ways: WAYS,
  brief: ASKING_WAYS,
  settleMs: 50,
  transfer: async (way, n, decided) => {
    const id = `${way}-${n}`;
    const input: Transfer = { from: accountOf(n), to: accountOf(n), amount: 1, currency: 'EUR' };
    if (way === 'direct') return askForTransfer(directUrl, { id, transfer: input }, decided);
    const handle = await transactions.start<Transfer, number>(WORKFLOWS[way], { id, input });
    if (asksForDecision(way)) {
      const { decision } = await handle.decision();
      if (decision !== 'commit') throw new Error(`Nothing was measured: ${id} was decided ${decision}.`);
      decided();
    }
    await handle.result();
  },
});

async function run(stage: Stage, contest: Contest<Way>, options: RunOptions, began: number): Promise<Outcome> {
  const { size } = options;
  const rounds = await measureRounds(contest, options, began);
  options.say('reading locks and histories');
  const holds = await readHolds(stage);
  const measured: MeasuredRound[] = rounds.map(({ first, samples }) => ({
    samples,
    holds: {
      alone: holds.filter(({ n }) => n >= first && n < first + size.alone),
      together: holds.filter(({ n }) => n >= first + size.alone && n < first + numbersOf(size)),
    },
  }));
  const report = reportOf(measured, size, await readCosts(stage, rounds.at(-1)?.first ?? 0, size));
  return { report, text: textOf(report), violations: await stage.violations() };
}

/** Of the last round. How many workflow tasks there are depends on what arrives together. */
async function readCosts({ historyOf }: Stage, first: number, size: Size): Promise<CostSamples> {
  const read = (way: HistoryWay, from: number, count: number): Promise<Cost[]> =>
    Promise.all(Array.from({ length: count }, async (_, i) => costOf(await historyOf(`${way}-${from + i}`))));
  const costs: Partial<Record<HistoryWay, CostSamples[HistoryWay]>> = {};
  for (const way of HISTORY_WAYS)
    costs[way] = {
      alone: await read(way, first, size.alone),
      together: await read(way, first + size.alone, size.together),
    };
  return costs as CostSamples; // Cast: the loop has filled it.
}
