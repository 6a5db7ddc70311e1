/** A timeline as an SVG image: no script, no font, no address of another file in it, readable on light and on dark. */
import { printable } from '../printable';
import { clock, duration, scaleOf } from './scale';
import type { Scale } from './scale';
import { headingOf, tellEnd } from './tell-span';
import type { Lane, Mark, Span, Timeline } from './timeline';

const WIDTH = 1_000;
const MARGIN = 16;
const HEAD = 72;
const LANE = 44;
const FOOT = 40;
const CHARACTER = 7.3;
const LONGEST_NAME = 34;

export function drawSvg(timeline: Timeline): string {
  const { lanes, end } = timeline;
  const scale = scaleOf(timeline);
  const names = lanes.map(({ name }) => shorten(printable(name), LONGEST_NAME));
  const left = MARGIN + Math.ceil(Math.max(...names.map((name) => name.length)) * CHARACTER) + 16;
  const place: Place = { left, width: WIDTH - left - MARGIN, scale, bottom: HEAD + lanes.length * LANE };
  const height = place.bottom + FOOT;
  const message = end?.message === undefined ? '' : `: ${printable(end.message)}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${xml(headingOf(timeline))}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="page" width="${WIDTH}" height="${height}"/>`,
    text('head', MARGIN, 26, shorten(headingOf(timeline), 110)),
    text('dim', MARGIN, 46, shorten(`${clock(timeline.fromMs)}${message}`, 130)),
    ...axis(timeline, place),
    ...lanes.flatMap((lane, i) => drawLane(lane, names[i] ?? '', HEAD + i * LANE, timeline, place)),
    ...legend(place.bottom + 26),
    '</svg>',
    '',
  ].join('\n');
}

interface Place {
  readonly left: number;
  readonly width: number;
  readonly scale: Scale;
  readonly bottom: number;
}

const STYLE = `
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1f2328}
.head{font-size:14px;font-weight:600}.dim{fill:#59636e}.page{fill:#ffffff}.line{stroke:#d1d9e0}.cut{stroke:#59636e;stroke-dasharray:2 3}
.waits{fill:#d4a72c}.good{fill:#2da44e}.bad{fill:#cf222e}.open{fill:#0969da}.off{fill:#818b98}.timer{fill:#8250df}.mark{fill:#0969da}
@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.dim{fill:#9198a1}.page{fill:#0d1117}.line{stroke:#3d444d}.cut{stroke:#9198a1}}
`.trim();

const shorten = (value: string, most: number): string =>
  value.length <= most ? value : `${value.slice(0, most - 2)}..`;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const xml = (value: string): string => value.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');

const text = (style: string, x: number, y: number, value: string): string =>
  `<text class="${style}" x="${round(x)}" y="${round(y)}">${xml(value)}</text>`;

const round = (n: number): number => Math.round(n * 10) / 10;
const xOf = (ms: number, { left, width, scale }: Place): number => left + scale.at(ms) * width;

/** Times at the top; they leave out what would touch the one before. */
function axis({ lanes, fromMs, toMs }: Timeline, place: Place): string[] {
  const moments = lanes.flatMap(({ spans, marks }) => [
    ...spans.map((span) => span.fromMs),
    ...marks.map(({ atMs }) => atMs),
  ]);
  let free = -Infinity;
  const ticks = [...new Set([fromMs, ...moments, toMs])]
    .sort((a, b) => a - b)
    .flatMap((ms) => {
      const x = xOf(ms, place);
      const label = `+${duration(ms - fromMs)}`;
      const start = Math.min(x, WIDTH - MARGIN - label.length * CHARACTER);
      if (start < free) return [];
      free = start + label.length * CHARACTER + 12;
      return [
        `<line class="line" x1="${round(x)}" x2="${round(x)}" y1="${HEAD}" y2="${place.bottom}"/>`,
        text('dim', start, HEAD - 2, label),
      ];
    });
  const cuts = place.scale.cuts.map(({ fromMs: from, toMs: to }) => {
    const x = round((xOf(from, place) + xOf(to, place)) / 2);
    return `<line class="cut" x1="${x}" x2="${x}" y1="${HEAD}" y2="${place.bottom}"><title>silence of ${xml(duration(to - from))}, cut short</title></line>`;
  });
  return [...ticks, ...cuts];
}

function drawLane(lane: Lane, name: string, top: number, timeline: Timeline, place: Place): string[] {
  const at =
    lane.participant === undefined || lane.name.startsWith(lane.participant) ? '' : `at ${printable(lane.participant)}`;
  return [
    text('name', MARGIN, top + (at === '' ? 26 : 20), name),
    ...(at === '' ? [] : [text('dim', MARGIN, top + 35, shorten(at, LONGEST_NAME))]),
    ...(lane.kind === 'coordinator' ? [track(timeline, top, place)] : []),
    ...lane.spans.flatMap((span) => drawSpan(span, top, timeline, place)),
    ...lane.marks.map((mark) => drawMark(mark, top, place)),
  ];
}

const track = ({ fromMs, toMs }: Timeline, top: number, place: Place): string =>
  `<rect class="off" x="${round(xOf(fromMs, place))}" y="${top + 20}" width="${round(xOf(toMs, place) - xOf(fromMs, place))}" height="2"/>`;

const NARROWEST = 3;
const LONGEST_LABEL = 40;
const BAD: readonly Span['end'][] = ['refused', 'failed', 'timed out'];

function drawSpan(span: Span, top: number, timeline: Timeline, place: Place): string[] {
  const { fromMs, toMs = timeline.toMs } = span;
  const startedMs = span.kind === 'timer' ? fromMs : (span.startedMs ?? toMs);
  const [from, started, to] = [fromMs, startedMs, toMs].map((ms) => xOf(ms, place)) as [number, number, number];
  const style = span.kind === 'timer' ? 'timer' : STYLES[span.end];
  const told = `${printable(span.label)} ${tellEnd(span)}`;
  const tries = span.attempts > 1 ? ` x${span.attempts}` : '';
  const label = `${shorten(printable(span.label), LONGEST_LABEL)}${tries}${BAD.includes(span.end) ? `: ${span.end}` : ''}`;
  return [
    `<g><title>${xml(told)}</title>`,
    `<rect class="waits" x="${round(from)}" y="${top + 23}" width="${round(started - from)}" height="8" opacity="0.6"/>`,
    `<rect class="${style}" x="${round(started)}" y="${top + 21}" width="${round(Math.max(NARROWEST, to - started))}" height="12" rx="2"/>`,
    text('label', Math.min(from, WIDTH - MARGIN - label.length * CHARACTER), top + 16, label),
    '</g>',
  ];
}

const STYLES: Readonly<Record<Span['end'], string>> = {
  done: 'good',
  refused: 'bad',
  failed: 'bad',
  'timed out': 'bad',
  cancelled: 'off',
  rang: 'timer',
  open: 'open',
};

function drawMark({ kind, label, atMs }: Mark, top: number, place: Place): string {
  const x = xOf(atMs, place);
  const style =
    kind === 'trouble' ? 'bad' : kind === 'ruling' ? 'waits' : kind === 'turn' || kind === 'end' ? 'off' : 'mark';
  return `<g><title>${xml(printable(label))}</title><path class="${style}" d="M${round(x)} ${top + 34}l-5 8h10z"/></g>`;
}

const legend = (y: number): string[] => {
  let x = MARGIN;
  const bars = LEGEND.flatMap(([style, word]) => {
    const start = x;
    x += 22 + word.length * CHARACTER + 14;
    return [
      `<rect class="${style}" x="${round(start)}" y="${y - 9}" width="14" height="10" rx="2"/>`,
      text('dim', start + 20, y, word),
    ];
  });
  return [
    ...bars,
    `<path class="mark" d="M${round(x + 6)} ${y - 9}l-5 8h10z"/>`,
    text('dim', x + 18, y, 'vote or signal'),
  ];
};

const LEGEND = [
  ['waits', 'waits, or was tried before'],
  ['good', 'done'],
  ['bad', 'refused or failed'],
  ['off', 'cancelled'],
  ['open', 'not ended'],
  ['timer', 'timer'],
] as const;
