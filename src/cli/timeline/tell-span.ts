/** A span or mark of a timeline in a few words, as every format shows them. */
import { printable } from '../printable';
import { duration } from './scale';
import type { Lane, Mark, Span, Timeline } from './timeline';

/** How a span ended: `done in 12 ms, attempt 3 (before: connection lost)`. */
export function tellEnd(span: Span): string {
  const { end, fromMs, toMs, attempts, retried, failure, note, kind } = span;
  const took = toMs === undefined ? '' : ` in ${duration(toMs - fromMs)}`;
  const said =
    kind === 'timer' ? (end === 'rang' ? `rang after ${duration((toMs ?? fromMs) - fromMs)}` : end) : `${end}${took}`;
  const which =
    attempts > 1 ? `, attempt ${attempts}${retried === undefined ? '' : ` (before: ${printable(retried)})`}` : '';
  const answer = note === undefined ? '' : `: ${note}`;
  return `${end === 'open' ? openWords(span) : said}${answer}${which}${failure === undefined ? '' : `: ${printable(failure)}`}`;
}

const openWords = ({ kind, startedMs, attempts }: Span): string => {
  if (kind === 'timer') return 'still runs';
  return startedMs === undefined && attempts === 0 ? 'not begun: no worker has taken it' : 'not ended';
};

/** One line of what happened. */
export interface Moment {
  readonly atMs: number;
  readonly lane: Lane;
  readonly told: string;
  readonly what: Span | Mark;
  /** Whether a span begins here, ends here, or is a mark. */
  readonly phase: 'begins' | 'ends' | 'mark';
}

/** Everything that happened, in order. */
export function momentsOf({ lanes }: Timeline): Moment[] {
  return lanes
    .flatMap((lane): Moment[] => [
      ...lane.spans.flatMap((span): Moment[] => [
        { atMs: span.fromMs, lane, what: span, phase: 'begins', told: `${printable(span.label)} ${begun(span)}` },
        ...(span.toMs === undefined
          ? []
          : [
              {
                atMs: span.toMs,
                lane,
                what: span,
                phase: 'ends' as const,
                told: `${printable(span.label)} ${tellEnd(span)}`,
              },
            ]),
      ]),
      ...lane.marks.map((mark): Moment => ({
        atMs: mark.atMs,
        lane,
        what: mark,
        phase: 'mark',
        told: printable(mark.label),
      })),
    ])
    .sort((a, b) => a.atMs - b.atMs);
}

function begun(span: Span): string {
  const verb = span.kind === 'timer' ? 'set' : span.kind === 'child' ? 'started as a child workflow' : 'asked';
  return span.toMs === undefined ? `${verb}, ${tellEnd(span)}` : verb;
}

/** The first line: `transferMoney transfer-1: failed after 111 ms`. */
export function headingOf({ id, type, fromMs, toMs, end }: Timeline): string {
  const name =
    [type, id]
      .filter((part) => part !== '')
      .map(printable)
      .join(' ') || 'a workflow';
  return end === undefined
    ? `${name}: runs; ${duration(toMs - fromMs)} from its start to its last event`
    : `${name}: ${end.status} after ${duration(toMs - fromMs)}`;
}
