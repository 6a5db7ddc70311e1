/** A timeline for the terminal: the lanes as bars, and below them everything that happened, in order. */
import { printable } from '../printable';
import { clock, duration, scaleOf } from './scale';
import type { Scale } from './scale';
import { headingOf, momentsOf } from './tell-span';
import type { Moment } from './tell-span';
import type { Lane, Mark, Span, Timeline } from './timeline';

export interface TerminalOptions {
  /** Characters in a line. */
  readonly width: number;
  readonly colour: boolean;
  /** Whether lines are folded at the width: not where a program reads them. */
  readonly fold: boolean;
}

const NARROWEST = 40;
const LONGEST_NAME = 32;
/** From here on there is room for times and names beside what happened. */
const WIDE = 90;

export function drawTerminal(timeline: Timeline, options: TerminalOptions): string {
  const width = Math.max(NARROWEST, options.width);
  const { lanes, end, fromMs, toMs } = timeline;
  const scale = scaleOf(timeline);
  const names = lanes.map((lane) => shorten(printable(lane.name), Math.min(LONGEST_NAME, Math.floor(width / 3))));
  const nameWidth = Math.max(...names.map((name) => name.length));
  const barWidth = width - nameWidth - 2;
  return [
    ...fold(headingOf(timeline), 0, width, options),
    ...(end?.message === undefined ? [] : fold(printable(end.message), 2, width, options)),
    ...fold(`${clock(fromMs)} to ${clock(toMs)}`, 0, width, options),
    '',
    ...lanes.map(
      (lane, i) => `${(names[i] ?? '').padEnd(nameWidth)}  ${bar(lane, scale, barWidth, timeline, options)}`,
    ),
    ...fold(legend(scale), 0, width, options),
    '',
    ...momentsOf(timeline).flatMap((moment) => line(moment, timeline, nameWidth, width, options)),
  ].join('\n');
}

const shorten = (text: string, most: number): string => (text.length <= most ? text : `${text.slice(0, most - 2)}..`);

type Paint = 'good' | 'bad' | 'waits' | 'note';
const CODES: Readonly<Record<Paint, number>> = { good: 32, bad: 31, waits: 33, note: 36 };

interface Cell {
  readonly glyph: string;
  readonly paint?: Paint;
}

function bar(
  { kind, spans, marks }: Lane,
  scale: Scale,
  width: number,
  timeline: Timeline,
  { colour }: TerminalOptions,
): string {
  const cells: Cell[] = Array.from({ length: width }, () => ({ glyph: ' ' }));
  const at = (ms: number): number => Math.round(scale.at(ms) * (width - 1));
  const fill = (fromMs: number, toMs: number, cell: Cell): void => {
    for (let i = at(fromMs); i <= at(toMs); i++) cells[i] = cell;
  };
  if (kind === 'coordinator') fill(timeline.fromMs, timeline.toMs, { glyph: '-' });
  for (const span of spans) {
    const { fromMs, startedMs, toMs = timeline.toMs } = span;
    fill(fromMs, toMs, { glyph: span.kind === 'timer' ? '~' : '=', paint: 'note' });
    if (span.kind !== 'timer') fill(fromMs, (startedMs ?? toMs) - 1e-6, { glyph: '.', paint: 'waits' });
    cells[at(toMs)] = endOf(span);
  }
  for (const { kind: mark, atMs } of marks) cells[at(atMs)] = MARKS[mark];
  for (const { fromMs, toMs } of scale.cuts) {
    const middle = Math.floor((at(fromMs) + at(toMs)) / 2);
    if (cells[middle]?.glyph !== ' ') cells[middle] = { glyph: '/' };
  }
  return cells
    .map(({ glyph, paint }) => painted(glyph, colour ? paint : undefined))
    .join('')
    .trimEnd();
}

const painted = (text: string, paint: Paint | undefined): string =>
  paint === undefined ? text : `\u001b[${CODES[paint]}m${text}\u001b[0m`;

function endOf({ end }: Span): Cell {
  switch (end) {
    case 'done':
      return { glyph: '+', paint: 'good' };
    case 'rang':
      return { glyph: '*', paint: 'waits' };
    case 'cancelled':
      return { glyph: 'c' };
    case 'open':
      return { glyph: '>', paint: 'waits' };
    case 'refused':
    case 'failed':
    case 'timed out':
      return { glyph: 'x', paint: 'bad' };
  }
}

const MARKS: Readonly<Record<Mark['kind'], Cell>> = {
  vote: { glyph: 'v', paint: 'note' },
  signal: { glyph: 's', paint: 'note' },
  ruling: { glyph: 'R', paint: 'waits' },
  turn: { glyph: '|' },
  trouble: { glyph: '!', paint: 'bad' },
  end: { glyph: '|' },
};

const legend = ({ cuts }: Scale): string =>
  '. waits, or was tried before  = works  + done  x refused or failed  c cancelled  > not ended  ~ timer  * rang  v vote  s signal  R ruling  ! trouble' +
  (cuts.length === 0
    ? ''
    : `  / silence cut short (${cuts.map(({ fromMs, toMs }) => duration(toMs - fromMs)).join(', ')})`);

function line(
  { atMs, lane, told, what, phase }: Moment,
  { fromMs }: Timeline,
  nameWidth: number,
  width: number,
  options: TerminalOptions,
): string[] {
  const when = `+${duration(atMs - fromMs)}`.padStart(12);
  const name = shorten(printable(lane.name), nameWidth).padEnd(nameWidth);
  if (options.fold && width < WIDE)
    return [`${when}  ${clock(atMs).slice(11)}`, ...fold(`${name.trimEnd()}: ${told}`, 4, width, options)];
  const start = `${when}  ${clock(atMs).slice(11)}  ${name}  `;
  const [first = '', ...rest] = fold(`${' '.repeat(start.length)}${told}`, start.length, width, options);
  const paint = phase === 'mark' ? undefined : phase === 'ends' ? endOf(what as Span).paint : undefined;
  return [start + painted(first.slice(start.length), options.colour ? paint : undefined), ...rest];
}

/** Folds a line between words, and where a word is longer than a line, inside it. */
function fold(text: string, indent: number, width: number, { fold: wanted }: TerminalOptions): string[] {
  const pad = ' '.repeat(indent);
  const words = text.trim();
  if (!wanted) return [pad + words];
  const lines: string[] = [];
  for (let rest = words; rest !== '';) {
    const room = width - indent;
    const space = rest.length <= room ? rest.length : rest.lastIndexOf(' ', room);
    const cut = space <= 0 ? room : space;
    lines.push(pad + rest.slice(0, cut));
    rest = rest.slice(cut).trimStart();
  }
  return lines.length === 0 ? [pad] : lines;
}
