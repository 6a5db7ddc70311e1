/** `npm run bench`: what `saga()` costs over the same transfer written by hand on plain Temporal. */
import { Command, InvalidArgumentError } from 'commander';
import { untilInterrupted } from '../src/dev';
import { costOf } from './cost';
import { BLOCKS, CONCURRENCY, measureRound } from './measure';
import type { Round } from './measure';
import { printReport, reportOf } from './report';
import { openStage } from './stage';
import type { Stage } from './stage';
import type { Way } from './transfer';

interface Options {
  readonly rounds: number;
  readonly transactions: number;
  readonly json?: boolean;
}

const command = new Command('bench')
  .description('Measures a transfer as a saga against the same transfer written by hand, in turns on the same servers')
  .option('--rounds <number>', 'how often each way has its turn', positive, 20)
  .option(
    '--transactions <number>',
    `transfers a way and round, one at a time and twice as many ${CONCURRENCY} at a time`,
    positive,
    16,
  )
  .option('--json', 'print the figures as JSON');

const started = Date.now();

/** To standard error: standard output is for the figures. */
function say(line: string): void {
  console.error(`${((Date.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}`);
}

const ORDER: readonly Way[] = ['saga', 'hand-written'];
/** Until code is compiled, connections are open and pollers have settled. */
const WARM_UP = 16;
/** On a machine that others use too, no round begins later than this: an early end says less, but says it. */
const LAST_BEGIN_MS = 120_000;

async function main(): Promise<number> {
  const options = command.parse().opts<Options>();
  const interrupted = untilInterrupted();
  const opening = openStage(say);
  const first = await Promise.race([opening, interrupted]);
  const stage = await opening;
  try {
    if (first !== stage) return 130;
    const running = run(stage, options);
    running.catch(() => undefined); // Cut short, it fails for lack of servers, and there is nobody left to tell.
    const code = await Promise.race([running, interrupted]);
    return typeof code === 'number' ? code : 130;
  } finally {
    await stage.stop();
  }
}

async function run(stage: Stage, { rounds, transactions, json }: Options): Promise<number> {
  say('warming up');
  await measureRound(stage, ORDER, 0, WARM_UP);
  const measured: Round[] = [];
  for (let i = 0; i < rounds; i++) {
    if (i > 0 && Date.now() - started > LAST_BEGIN_MS) {
      say(`time is up after ${i} rounds of ${rounds}`);
      break;
    }
    say(`round ${i + 1} of ${rounds}`);
    const order = i % 2 === 0 ? ORDER : ORDER.toReversed();
    measured.push(await measureRound(stage, order, BLOCKS * (WARM_UP + i * transactions), transactions));
  }
  const costs = {
    saga: costOf(await stage.historyOf('saga', 0)),
    'hand-written': costOf(await stage.historyOf('hand-written', 0)),
  };
  const report = reportOf(measured, transactions, costs);
  if (json) console.log(JSON.stringify(report, undefined, 2));
  else printReport(report);
  const violations = await stage.violations();
  if (violations > 0) console.error(`The books do not add up: ${violations} promises of the tables are broken.`);
  return violations === 0 ? 0 : 1;
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('It has to be a whole number from 1 to 99999.');
  return Number(text);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  },
);
