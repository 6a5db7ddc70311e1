/** Draws throughput and memory over the transfers that have been made, as an SVG that follows the reader's colours. */
import { apart, COLOURS, curveOf, drawingOf, round } from '../svg';
import type { Point } from '../svg';
import { thousands } from '../throughput/tables';
import { anonymousOf } from './report';
import type { ScaleReport } from './report';
import { transfersUntil } from './tables';

interface Series {
  readonly name: string;
  readonly values: readonly number[];
}

const WIDTH = 1160;
const HEIGHT = 470;
const TOP = 64;
const BOTTOM = 420;
const PLOT_WIDTH = 350;
const TICKS = 5;

export function plotOf({ windows }: ScaleReport): string {
  const transfers = windows.map((_, i) => transfersUntil(windows, i));
  const names = windows[0]?.memory.map(({ name }) => name) ?? [];
  const memory = names.map((name) => ({
    name,
    values: windows.map((window) => anonymousOf(window.memory, name) / 2 ** 20),
  }));
  return drawingOf({
    width: WIDTH,
    height: HEIGHT,
    title: 'Transfers a second, and memory of each process, over the transfers that have been made',
    panels: [
      panel('transfers a second', 70, transfers, [
        { name: 'all', values: windows.map(({ throughput }) => throughput) },
      ]),
      panel('memory after garbage collection, MiB', 620, transfers, memory),
    ],
  });
}

/** Both axes begin at nothing: what is flat looks flat. */
function panel(title: string, left: number, transfers: readonly number[], series: readonly Series[]): string {
  const most = Math.max(1, ...transfers);
  const high = roundUp(Math.max(1, ...series.flatMap(({ values }) => values)));
  const at = (made: number, value: number): Point => ({
    x: left + (PLOT_WIDTH * made) / most,
    y: BOTTOM - ((BOTTOM - TOP) * value) / high,
  });
  const curves = series.map(({ name, values }) => ({
    name,
    points: values.map((value, i) => at(transfers[i] ?? 0, value)),
  }));
  const labels = apart(
    curves.map(({ points }) => points.at(-1)?.y ?? 0),
    BOTTOM,
  );
  return [
    `<text class="head" x="${left}" y="28">${title}</text>`,
    `<text class="dim" x="${left + PLOT_WIDTH}" y="${BOTTOM + 38}" text-anchor="end">transfers made</text>`,
    ...Array.from({ length: TICKS + 1 }, (_, i) => (high * i) / TICKS).flatMap((value) => {
      const { y } = at(0, value);
      return [
        `<line class="line" x1="${left}" x2="${left + PLOT_WIDTH}" y1="${round(y)}" y2="${round(y)}"/>`,
        `<text class="dim" x="${left - 6}" y="${round(y + 4)}" text-anchor="end">${thousands(value)}</text>`,
      ];
    }),
    ...[0, most / 2, most].map((made) => {
      const { x } = at(made, 0);
      return `<text class="dim" x="${round(x)}" y="${BOTTOM + 20}" text-anchor="middle">${thousands(made)}</text>`;
    }),
    ...curves.map(({ name, points }, i) =>
      curveOf({ colour: COLOURS[(i + 2) % COLOURS.length] ?? '', points, name, nameAt: labels[i] ?? 0 }),
    ),
  ].join('\n');
}

/** To a number that five ticks divide without a rest. */
function roundUp(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 2.5, 5, 10].find((step) => step * unit >= value) ?? 10) * unit;
}
