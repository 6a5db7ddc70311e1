/** `npm run bench`: what `saga()` costs over plain Temporal, what two-phase commit costs over a saga, all protocols side by side, the outbox, throughput beside others, and scale. */
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { untilInterrupted } from '../src/dev';
import type { Outcome, Part } from './contest';
import { CONCURRENCY } from './measure';
import type { Size } from './measure';
import { openOutboxPart } from './outbox/part';
import { openProtocolsPart } from './protocols/part';
import { openSagaPart } from './saga/part';
import { openScalePart } from './scale/part';
import { openThroughputPart } from './throughput/part';
import { openTwoPhasePart } from './two-phase/part';

interface Options {
  readonly rounds: number;
  readonly transactions: number;
  readonly open?: number;
  readonly ownNode?: boolean;
  readonly quick?: boolean;
  readonly json?: boolean;
  readonly write?: boolean;
}

type PartName = 'saga' | 'two-phase' | 'protocols' | 'outbox' | 'throughput' | 'scale';

interface PartEntry {
  readonly title: string;
  readonly open: (progress: (message: string) => void, options: Required<Pick<Options, 'ownNode'>>) => Promise<Part>;
  readonly sizeOf: (transactions: number) => Size;
  /** Where that of a few transfers would take long. */
  readonly quickSize?: Size;
  readonly lastBeginMs: number;
  /** Whether it runs only when it is asked for. */
  readonly onlyWhenAsked?: true;
}

const PARTS: Readonly<Record<PartName, PartEntry>> = {
  saga: {
    title: 'A saga, and the same by hand on plain Temporal',
    open: openSagaPart,
    sizeOf: (transactions) => ({ alone: transactions, together: transactions }),
    lastBeginMs: 120_000,
  },
  // More ways, so fewer turns, and blocks in which each caller has a second turn.
  'two-phase': {
    title: 'Two-phase commit, and other ways to change three databases',
    open: openTwoPhasePart,
    sizeOf: (transactions) => ({ alone: Math.ceil(transactions / 2), together: 2 * transactions }),
    lastBeginMs: 160_000,
  },
  protocols: {
    title: 'Saga, two-phase commit, three-phase commit and try-confirm-cancel, between two banks',
    open: openProtocolsPart,
    sizeOf: (transactions) => ({ alone: Math.ceil(transactions / 2), together: transactions }),
    lastBeginMs: 160_000,
  },
  // Events where the others have transfers: some that wait for a poll, and a backlog.
  outbox: {
    title: 'The transactional outbox, and pg-transactional-outbox',
    open: openOutboxPart,
    sizeOf: (transactions) => ({ alone: Math.ceil(transactions / 4), together: 2_000 * transactions }),
    quickSize: { alone: 1, together: 1_200 },
    lastBeginMs: 160_000,
  },
  // Callers begin transfers for a time and not for a number, which is only the most there can be. Alone: those that are held open at once.
  throughput: {
    title: 'Throughput, beside a hand-written workflow, other libraries, and no coordinator at all',
    open: openThroughputPart,
    sizeOf: (transactions) => ({ alone: 32 * transactions, together: 4_000 * transactions }),
    quickSize: { alone: 16, together: 16 },
    lastBeginMs: 480_000,
  },
  // A round is a window of them. Alone: those that are held open at once.
  scale: {
    title: 'Scale: many transfers one after the other, and many open at once',
    open: openScalePart,
    sizeOf: (transactions) => ({ alone: 625 * transactions, together: 6_250 * transactions }),
    quickSize: { alone: 32, together: 64 },
    lastBeginMs: 420_000,
    onlyWhenAsked: true,
  },
};

/** Enough to see that it works, too little to say anything of time. */
const QUICK = { rounds: 1, transactions: 4 };

const command = new Command('bench')
  .description('Measures ways to make the same transfer against each other, in turns on the same servers')
  .addArgument(new Argument('[part]', 'only this part').choices(Object.keys(PARTS)))
  .option('--rounds <number>', 'how often each way has its turn', positive, 20)
  .option(
    '--transactions <number>',
    `transfers a way and round; ${CONCURRENCY} at a time in blocks of as many (two-phase and protocols: half of them one at a time; two-phase: blocks of twice as many; outbox: a backlog of 2,000 times as many events; throughput: 32 times as many open at once; scale: 6,250 times as many in groups, 625 times as many open at once)`,
    positive,
    16,
  )
  .option('--open <number>', 'throughput, scale: how many are open at once', positive)
  .option(
    '--own-node',
    'throughput: have the Node.js of this process everywhere, and not a newer one that is installed with the peers',
  )
  .option('--quick', 'one round of a few transfers: shows that it works, and says nothing of time')
  .option('--json', 'print the figures as JSON')
  .addOption(
    new Option(
      '--write',
      'throughput, scale: write docs/performance.md or docs/scaling.md anew, and what it is made of',
    ).conflicts('quick'),
  );

const started = Date.now();

/** To standard error: standard output is for the figures. */
function say(line: string): void {
  console.error(`${((Date.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}`);
}

async function main(): Promise<number> {
  command.parse();
  const options = command.opts<Options>();
  const [only] = command.processedArgs as [PartName | undefined]; // Cast: commander has checked the choice.
  const interrupted = untilInterrupted();
  const reports: Partial<Record<PartName, object>> = {};
  let violations = 0;
  for (const name of Object.keys(PARTS) as PartName[]) {
    if (only === undefined ? PARTS[name].onlyWhenAsked : only !== name) continue;
    const outcome = await play(name, options, interrupted);
    if (outcome === 'interrupted') return 130;
    reports[name] = outcome.report;
    if (options.write && outcome.violations === 0) for (const file of outcome.write?.() ?? []) say(`wrote ${file}`);
    violations += outcome.violations;
    if (!options.json) console.log(`\n${PARTS[name].title}\n\n${outcome.text}`);
  }
  if (options.json) console.log(JSON.stringify(reports, undefined, 2));
  if (violations > 0) console.error(`The books do not add up: ${violations} promises of the tables are broken.`);
  return violations === 0 ? 0 : 1;
}

async function play(
  name: PartName,
  { rounds, transactions, open: alone, quick, ownNode = false }: Options,
  interrupted: Promise<unknown>,
): Promise<Outcome | 'interrupted'> {
  const { open, sizeOf, quickSize, lastBeginMs } = PARTS[name];
  const wanted = quick ? QUICK : { rounds, transactions };
  const usual = (quick && quickSize) || sizeOf(wanted.transactions);
  const size = alone === undefined ? usual : { ...usual, alone };
  const opening = open(say, { ownNode });
  const first = await Promise.race([opening, interrupted]);
  const part: Part = await opening;
  try {
    if (first !== part) return 'interrupted';
    const running = part.run({ rounds: wanted.rounds, size, lastBeginMs, say });
    running.catch(() => undefined); // Cut short, it fails for lack of servers, and there is nobody left to tell.
    return await Promise.race([running, interrupted.then(() => 'interrupted' as const)]);
  } finally {
    await part.stop();
  }
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
