/** `saga()` against the same transfer written by hand on plain Temporal: what the package costs. */
import { cpus } from 'node:os';
import { table } from '../../clients/lib/table';
import { measureRounds } from '../contest';
import type { Outcome, Part } from '../contest';
import { costOf } from '../cost';
import type { Cost } from '../cost';
import { HANDLED } from '../hand-written/activities';
import { each } from '../measure';
import type { Contest, Round, Sample, Size } from '../measure';
import { cpuOf, figuresOf, milliseconds, ratioText } from '../report';
import type { Figures } from '../report';
import { openStage } from '../stage';
import type { Stage } from '../stage';
import { percentile, spreadOf } from '../statistics';
import type { Spread } from '../statistics';
import { accountOf, BANKS, QUEUES } from '../transfer';
import type { Transfer } from '../transfer';

type Way = keyof typeof QUEUES;

const WAYS: readonly Way[] = ['saga', 'hand-written'];

export async function openSagaPart(progress: (message: string) => void): Promise<Part> {
  const began = Date.now();
  const stage = await openStage({ services: BANKS, progress });
  try {
    progress('starting three worker processes for each way');
    for (const bank of BANKS) await stage.pool(bank).query(HANDLED);
    await startWorkers(stage);
  } catch (error) {
    await stage.stop();
    throw error;
  }
  return {
    run: async (options): Promise<Outcome> => {
      const rounds = await measureRounds(contestOn(stage), options, began);
      const costs = {
        saga: costOf(await stage.historyOf('saga-0')),
        'hand-written': costOf(await stage.historyOf('hand-written-0')),
      };
      const report = reportOf(
        rounds.map(({ samples }) => samples),
        options.size,
        costs,
      );
      return { report, text: textOf(report), violations: await stage.violations() };
    },
    stop: stage.stop,
  };
}

const contestOn = ({ transactions, client }: Stage): Contest<Way> => ({
  ways: WAYS,
  settleMs: 0,
  transfer: async (way, n) => {
    const input: Transfer = { from: accountOf(n), to: accountOf(n), amount: 1, currency: 'EUR' };
    const id = `${way}-${n}`;
    if (way === 'saga') await transactions.execute<Transfer, number>('transferBySaga', { id, input });
    else
      await client.workflow.execute<(input: Transfer) => Promise<number>>('transferByHand', {
        workflowId: id,
        taskQueue: QUEUES[way],
        args: [input],
      });
  },
});

async function startWorkers({ startProcess, databaseUrl }: Stage): Promise<void> {
  await Promise.all([
    startProcess('saga workflows', 'saga/workflow-worker.js'),
    startProcess('hand-written workflows', 'hand-written/workflow-worker.js'),
    ...BANKS.flatMap((bank) => {
      const env = { SERVICE_NAME: bank, DATABASE_URL: databaseUrl(bank) };
      return [
        startProcess(`saga ${bank}`, 'saga/bank-worker.js', env),
        startProcess(`hand-written ${bank}`, 'hand-written/bank-worker.js', env),
      ];
    }),
  ]);
}

interface Report {
  readonly rounds: number;
  readonly size: Size;
  readonly processors: number;
  readonly figures: Readonly<Record<Way, Figures & { readonly cost: Cost }>>;
  /** Saga to hand-written, in time: 1.05 is five per cent more. */
  readonly ratios: Readonly<Record<'latencyP50' | 'timeAt16' | 'cpu', Spread>>;
}

function reportOf(rounds: readonly Round<Way>[], size: Size, costs: Readonly<Record<Way, Cost>>): Report {
  const ratio = (measure: (sample: Sample, way: Way) => number): Spread =>
    spreadOf(rounds.map((round) => measure(round.saga, 'saga') / measure(round['hand-written'], 'hand-written')));
  return {
    rounds: rounds.length,
    size,
    processors: cpus().length,
    figures: each(WAYS, (way) => ({
      ...figuresOf(
        rounds.map((round) => round[way]),
        way,
      ),
      cost: costs[way],
    })),
    ratios: {
      latencyP50: ratio(({ alone }) => percentile(alone.done, 0.5)),
      timeAt16: ratio(({ throughput }) => 1 / throughput),
      cpu: ratio(cpuOf),
    },
  };
}

function textOf({ rounds, size, processors, figures, ratios }: Report): string {
  const row = (name: string, value: (figures: Report['figures'][Way]) => string, ratio?: Spread): string[] => [
    name,
    ...WAYS.map((way) => value(figures[way])),
    ratioText(ratio),
  ];
  const ms = milliseconds;
  const rows = [
    row('latency p50, one at a time', (f) => ms(f.latencyP50Ms), ratios.latencyP50),
    row('latency p99, one at a time', (f) => ms(f.latencyP99Ms)),
    row('throughput, 16 at a time', (f) => `${f.throughputPerSecond.toFixed(1)}/s`, ratios.timeAt16),
    row('CPU: workers', (f) => ms(f.cpuMs?.workers)),
    row('CPU: PostgreSQL', (f) => ms(f.cpuMs?.postgres)),
    row('CPU: Temporal server', (f) => ms(f.cpuMs?.temporal)),
    row('CPU: all of it', (f) => ms(f.cpuMs && f.cpuMs.workers + f.cpuMs.postgres + f.cpuMs.temporal), ratios.cpu),
    row('history events', (f) => String(f.cost.events)),
    row('workflow tasks', (f) => String(f.cost.workflowTasks)),
    row('activities', (f) => String(f.cost.activities)),
    row('billable actions', (f) => String(f.cost.actions)),
  ];
  return `${table(['per transfer', ...WAYS, 'time saga/hand-written'], rows)}

${rounds} rounds of ${size.alone} + ${2 * size.together} transfers a way, ${processors} processors. Ratios: median of the rounds (least–most).`;
}
