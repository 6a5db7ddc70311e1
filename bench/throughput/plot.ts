/** Draws throughput and latency over the number of callers, both axes logarithmic, as an SVG that follows the reader's colours. */
import { apart, COLOURS, curveOf, drawingOf, round } from '../svg';
import type { Point } from '../svg';
import { titleOf } from './report';
import type { Figures, ThroughputReport } from './report';

interface Panel {
  readonly title: string;
  readonly x: number;
  readonly value: (figures: Figures) => number;
  readonly unit: string;
}

const WIDTH = 1160;
const HEIGHT = 470;
const TOP = 64;
const BOTTOM = 420;
const PLOT_WIDTH = 330;
const PANELS: readonly Panel[] = [
  { title: 'transfers a second', x: 60, unit: '/s', value: ({ throughput }) => throughput.median },
  { title: 'latency, median', x: 640, unit: ' ms', value: ({ p50Ms }) => p50Ms },
];
export function plotOf({ figures, entrants }: ThroughputReport): string {
  const levels = [...new Set(figures.map(({ callers }) => callers))];
  const colours = new Map(entrants.map(({ way }, i) => [way as string, COLOURS[i % COLOURS.length] ?? '']));
  const panels = PANELS.map((panel) => draw(panel, figures, levels, colours));
  return drawingOf({
    width: WIDTH,
    height: HEIGHT,
    title: 'Transfers a second and median latency over the number of callers',
    panels,
  });
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
  const labels = apart(
    curves.map(({ points }) => points.at(-1)?.y ?? 0),
    BOTTOM,
  );
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
    ...curves.map(({ way, title: name, points }, i) =>
      curveOf({ colour: colours.get(way) ?? '', points, name, nameAt: labels[i] ?? 0 }),
    ),
  ].join('\n');
}

const decadeBelow = (value: number): number => 10 ** Math.floor(Math.log10(value));

const decades = (low: number, high: number): readonly number[] =>
  Array.from({ length: Math.round(Math.log10(high / low)) + 1 }, (_, i) => low * 10 ** i);
