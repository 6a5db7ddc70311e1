/** A timeline as a sequence diagram of Mermaid, which GitHub and many wikis draw. */
import { printable } from '../printable';
import { clock, duration } from './scale';
import { headingOf, momentsOf } from './tell-span';
import type { Moment } from './tell-span';
import type { Span, Timeline } from './timeline';

const LONGEST = 120;

export function drawMermaid(timeline: Timeline): string {
  const lanes = timeline.lanes.filter(({ kind }) => kind !== 'timers');
  const alias = new Map(lanes.map((lane, i) => [lane, `L${i}`]));
  const lines = momentsOf(timeline).map((moment) => `  ${message(moment, alias.get(moment.lane) ?? 'L0', timeline)}`);
  return [
    'sequenceDiagram',
    ...lanes.map((lane, i) => `  participant L${i} as ${safe(lane.name)}`),
    `  Note over L0: ${safe(`${headingOf(timeline)}, from ${clock(timeline.fromMs)}`)}`,
    ...lines,
    '',
  ].join('\n');
}

function message({ atMs, lane, told, what, phase }: Moment, alias: string, { fromMs }: Timeline): string {
  const text = safe(`${told} (+${duration(atMs - fromMs)})`);
  if (lane.kind === 'coordinator' || lane.kind === 'timers') return `Note over L0: ${text}`;
  switch (phase) {
    case 'begins':
      return `L0->>${alias}: ${text}`;
    case 'ends':
      return `${alias}${(what as Span).end === 'done' ? '-->>' : '--x'}L0: ${text}`;
    case 'mark':
      // What the coordinator tells goes the other way.
      return told.startsWith('told ') ? `L0-)${alias}: ${text}` : `${alias}-)L0: ${text}`;
  }
}

/** Everything that could mean something to Mermaid, as its number. */
const safe = (text: string): string =>
  cut(printable(text)).replace(/[^A-Za-z0-9 .,()+/=@_:-]|--+|:{2,}|\b(?:end|as)\b/gi, (found) =>
    [...found].map((character) => `#${character.charCodeAt(0)};`).join(''),
  );

const cut = (text: string): string => (text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}...`);
