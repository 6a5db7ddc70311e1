/** Draws throughput and latency over the number of callers, both axes logarithmic, as an SVG that follows the reader's colours. */
import { titleOf } from './report';
import type { Figures, ThroughputReport } from './report';

interface Panel {
  readonly title: string;
  readonly x: number;
  readonly value: (figures: Figures) => number;
  readonly unit: string;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

const WIDTH = 1160;
const HEIGHT = 470;
const TOP = 64;
const BOTTOM = 420;
const PLOT_WIDTH = 330;
/** For the names beside the last points. */
const LABEL_GAP = 14;
const PANELS: readonly Panel[] = [
  { title: 'transfers a second', x: 60, unit: '/s', value: ({ throughput }) => throughput.median },
  { title: 'latency, median', x: 640, unit: ' ms', value: ({ p50Ms }) => p50Ms },
];
/** Can be told apart by who sees colours differently, on white and on black. */
const COLOURS = [
  '#818b98',
  '#bf8700',
  '#0969da',
  '#1a7f37',
  '#8250df',
  '#cf222e',
  '#bc4c00',
  '#1b7c83',
  '#bf3989',
  '#6e7781',
  '#4d8d00',
];

export function plotOf({ figures, entrants }: ThroughputReport): string {
  const levels = [...new Set(figures.map(({ callers }) => callers))];
  const colours = new Map(entrants.map(({ way }, i) => [way as string, COLOURS[i % COLOURS.length] ?? '']));
  const panels = PANELS.map((panel) => draw(panel, figures, levels, colours));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img">
<title>Transfers a second and median latency over the number of callers</title>
<style>text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1f2328}
.head{font-size:14px;font-weight:600}.dim{fill:#59636e}.page{fill:#ffffff}.line{stroke:#d1d9e0}.curve{fill:none;stroke-width:2}
@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.dim{fill:#9198a1}.page{fill:#0d1117}.line{stroke:#3d444d}}</style>
<rect class="page" width="${WIDTH}" height="${HEIGHT}"/>
${panels.join('\n')}
</svg>
`;
}

function draw(
  { title, x, unit, value }: Panel,
  figures: readonly Figures[],
  levels: readonly number[],
  colours: ReadonlyMap<string, string>,
): string {
  const values = figures.map(value);
  const [low, high] = [decadeBelow(Math.min(...values)), decadeBelow(Math.max(...values)) * 10];
  const most = Math.max(...levels, 2);
  const at = (callers: number, shown: number): Point => ({
    x: x + (PLOT_WIDTH * Math.log(callers)) / Math.log(most),
    y: BOTTOM - ((BOTTOM - TOP) * Math.log(shown / low)) / Math.log(high / low),
  });
  const ways = [...colours.keys()].filter((way) => figures.some((one) => one.way === way));
  const curves = ways.map((way) => {
    const own = figures.filter((one) => one.way === way);
    return { way, title: own[0] ? titleOf(own[0].way) : '', points: own.map((one) => at(one.callers, value(one))) };
  });
  const labels = apart(curves.map(({ points }) => points.at(-1)?.y ?? 0));
  return [
    `<text class="head" x="${x}" y="28">${title}</text>`,
    `<text class="dim" x="${x + PLOT_WIDTH}" y="${BOTTOM + 38}" text-anchor="end">callers</text>`,
    ...decades(low, high).flatMap((decade) => {
      const { y } = at(1, decade);
      return [
        `<line class="line" x1="${x}" x2="${x + PLOT_WIDTH}" y1="${round(y)}" y2="${round(y)}"/>`,
        `<text class="dim" x="${x - 6}" y="${round(y + 4)}" text-anchor="end">${decade}${decade === high ? unit : ''}</text>`,
      ];
    }),
    ...levels.map((callers) => {
      const tick = at(callers, low);
      return `<text class="dim" x="${round(tick.x)}" y="${BOTTOM + 20}" text-anchor="middle">${callers}</text>`;
    }),
    ...curves.flatMap(({ way, title: name, points }, i) => {
      const colour = colours.get(way) ?? '';
      const last = points.at(-1);
      return [
        `<polyline class="curve" stroke="${colour}" points="${points.map((p) => `${round(p.x)},${round(p.y)}`).join(' ')}"/>`,
        ...points.map((p) => `<circle fill="${colour}" cx="${round(p.x)}" cy="${round(p.y)}" r="3"/>`),
        `<text style="fill:${colour}" x="${round((last?.x ?? x) + 10)}" y="${round((labels[i] ?? 0) + 4)}">${name}</text>`,
      ];
    }),
  ].join('\n');
}

/** Heights for labels, near those wanted, none over another. */
function apart(wanted: readonly number[]): readonly number[] {
  const placed = wanted.map((y, i) => ({ y, i })).sort((a, b) => a.y - b.y);
  for (const [n, label] of placed.entries()) label.y = Math.max(label.y, (placed[n - 1]?.y ?? -Infinity) + LABEL_GAP);
  const over = Math.max(0, (placed.at(-1)?.y ?? 0) - BOTTOM);
  for (const label of placed) label.y -= over;
  return placed.sort((a, b) => a.i - b.i).map(({ y }) => y);
}

const decadeBelow = (value: number): number => 10 ** Math.floor(Math.log10(value));

const decades = (low: number, high: number): readonly number[] =>
  Array.from({ length: Math.round(Math.log10(high / low)) + 1 }, (_, i) => low * 10 ** i);

const round = (value: number): string => value.toFixed(1);
