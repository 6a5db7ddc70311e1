/** The report as tables, for the terminal and for the page. */
import { digits, milliseconds, plain, thousands } from '../throughput/tables';
import type { Table } from '../throughput/tables';
import { ASSUMED, EXAMPLE, frontendCalls, resourcesOf, scarcest, shardWrites, throughputOf, times } from './model';
import type { Opened } from './opened';
import type { Price } from './prices';
import { anonymousOf } from './report';
import type { ScaleReport } from './report';
import { PARTS } from './usage';
import type { Memory, Part } from './usage';

export const tablesOf = (report: ScaleReport): readonly Table[] =>
  [
    windowTable(report),
    memoryTable(report),
    verdictTable(report),
    openedTable(report.opened),
    priceTable(report),
    assumptionTable(),
    exampleTable(report),
    growthTable(report),
  ].filter(({ rows }) => rows.length > 0);

const windowTable = ({ windows }: ScaleReport): Table => ({
  title: 'Transfers in groups, window by window',
  headings: ['transfers', '/s', 'p50', 'p99', ...PARTS.map((part) => `CPU: ${PART_NAMES[part]}`), 'refused'],
  rows: windows.map(({ throughput, p50Ms, p99Ms, cpuMs, refused }, i) => [
    thousands(transfersUntil(windows, i)),
    plain(throughput),
    milliseconds(p50Ms),
    milliseconds(p99Ms),
    ...PARTS.map((part) => `${digits(cpuMs[part])} ms`),
    String(refused),
  ]),
});

const PART_NAMES: Readonly<Record<Part, string>> = {
  client: 'clients',
  coordinator: 'coordinators',
  'north-bank': 'North Bank',
  'south-bank': 'South Bank',
  postgres: 'PostgreSQL',
  temporal: 'Temporal',
};

/** That had been made at the end of this window. */
export const transfersUntil = (windows: ScaleReport['windows'], i: number): number =>
  windows.slice(0, i + 1).reduce((sum, { transfers }) => sum + transfers, 0);

const memoryTable = ({ windows }: ScaleReport): Table => ({
  title:
    'Memory after each window, garbage collected: heap, of its own, and with files and its share of what is shared (MiB)',
  headings: ['transfers', ...namesOf(windows[0]?.memory ?? [])],
  rows: windows.map(({ memory }, i) => [thousands(transfersUntil(windows, i)), ...memory.map(memories)]),
});

const namesOf = (memory: readonly Memory[]): readonly string[] => memory.map(({ name }) => name);

const memories = ({ heap, anonymous, resident }: Memory): string =>
  [...(heap === undefined ? [] : [heap]), anonymous, resident].map(mebibytes).join(', ');

const verdictTable = ({ verdicts }: ScaleReport): Table => ({
  title: 'What became more or less over the run',
  headings: ['', 'over the run', 'limit', 'sure of it (standard deviations)', 'bytes a transfer', 'kept'],
  rows: verdicts.map(({ of, growth, limit, z, bytesEach, kept }) => [
    of,
    perCent(growth),
    perCent(limit),
    digits(z),
    bytesEach === undefined ? '' : thousandsOfBytes(bytesEach),
    kept ? 'yes' : 'no',
  ]),
});

const openedTable = (opened: Opened): Table => ({
  title: `${thousands(opened.open)} open at once`,
  headings: ['', 'before', 'while open', 'after', 'KiB for each that is open'],
  rows: opened.before.map(({ name, anonymous }) => {
    const open = anonymousOf(opened.whileOpen, name);
    return [
      name,
      `${mebibytes(anonymous)} MiB`,
      `${mebibytes(open)} MiB`,
      `${mebibytes(anonymousOf(opened.after, name))} MiB`,
      digits((open - anonymous) / 1024 / opened.open),
    ];
  }),
});

const priceTable = ({ prices: { alone, grouped } }: ScaleReport): Table => ({
  title: 'Constants that are measured: what a transfer takes',
  headings: ['', 'alone', 'in a group'],
  rows: MEASURED.map(([name, of]) => [name, digits(of(alone)), digits(of(grouped))]),
});

const MEASURED: readonly (readonly [string, (price: Price) => number])[] = [
  ...PARTS.map((part) => [`CPU of ${PART_NAMES[part]}, ms`, ({ cpuMs }: Price) => cpuMs[part]] as const),
  ["commits in a bank's database", ({ commits }) => commits],
  ['workflows', ({ workflows }) => workflows],
  ['workflow tasks', ({ workflowTasks }) => workflowTasks],
  ['activities', ({ activities }) => activities],
  ['history events', ({ events }) => events],
  ['billable actions', ({ actions }) => actions],
  ['writes of a history shard: workflows + 2 × (workflow tasks + activities)', shardWrites],
  ['requests to a frontend: 2 × (workflows + workflow tasks + activities)', frontendCalls],
];

const assumptionTable = (): Table => ({
  title: 'Constants that are assumed',
  headings: ['', 'assumed', 'from'],
  rows: Object.values(ASSUMED).map(({ what, value, unit, from }) => [
    what,
    `${thousandsOrLess(value)} ${unit}`.trim(),
    from,
  ]),
});

function exampleTable({ prices }: ScaleReport): Table {
  const { clients, coordinators, participants, databases, temporal, frontends, shards } = EXAMPLE;
  const alone = resourcesOf(prices, 'alone', EXAMPLE);
  const grouped = resourcesOf(prices, 'grouped', EXAMPLE);
  return {
    title: `An example: ${clients} processors for clients, ${coordinators} for coordinators, ${participants} for each bank's workers, ${databases} for each bank's PostgreSQL, ${temporal} for Temporal with ${frontends} frontends and ${shards} shards`,
    headings: ['', 'allows', 'alone', 'in a group'],
    rows: [
      ...grouped.map(({ name, formula, allows }) => {
        const apart = alone.find((one) => one.name === name);
        return [name, formula, apart ? perSecond(apart.allows) : '–', perSecond(allows)];
      }),
      [
        '**the scarcest**',
        '',
        `**${perSecond(scarcest(alone).allows)}**: ${scarcest(alone).name}`,
        `**${perSecond(scarcest(grouped).allows)}**: ${scarcest(grouped).name}`,
      ],
    ],
  };
}

const FACTORS = [0.25, 0.5, 1, 2, 4] as const;
const SHARDS = [4, 512, 4_096] as const;

/** Fewer than one frontend is none: a quarter of it is a smaller one. */
const growthTable = ({ prices }: ScaleReport): Table => ({
  title: 'The same with less and with more machines: transfers a second, and what is scarce then',
  headings: [
    'machines',
    ...(['alone', 'in a group'] as const).flatMap((way) => SHARDS.map((n) => `${way}, ${thousands(n)} shards`)),
  ],
  rows: FACTORS.map((factor) => [
    `× ${factor}`,
    ...(['alone', 'grouped'] as const).flatMap((way) =>
      SHARDS.map((shards) => {
        const { allows, name } = throughputOf(prices, way, times(EXAMPLE, factor, shards));
        return `${perSecond(allows)}: ${name}`;
      }),
    ),
  ]),
});

const perSecond = (value: number): string => `${thousands(Number(value.toPrecision(3)))}/s`;

const mebibytes = (bytes: number): string => plain(bytes / 2 ** 20);

const perCent = (share: number): string => `${share > 0 ? '+' : ''}${(100 * share).toFixed(1)} %`;

const thousandsOfBytes = (bytes: number): string => bytes.toFixed(0);

const thousandsOrLess = (value: number): string => (value < 1000 ? String(value) : thousands(value));
