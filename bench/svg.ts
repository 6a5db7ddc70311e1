/** What drawings have in common: an SVG that follows the reader's colours, and curves with their names beside them. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

interface Drawing {
  readonly width: number;
  readonly height: number;
  /** For those who cannot see it. */
  readonly title: string;
  readonly panels: readonly string[];
}

interface Curve {
  readonly colour: string;
  readonly points: readonly Point[];
  readonly name: string;
  /** How high its name is, see {@link apart}. */
  readonly nameAt: number;
}

/** For the names beside the last points. */
const LABEL_GAP = 14;
/** Can be told apart by who sees colours differently, on white and on black. */
export const COLOURS = [
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

export const drawingOf = ({ width, height, title, panels }: Drawing): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${title}</title>
<style>text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1f2328}
.head{font-size:14px;font-weight:600}.dim{fill:#59636e}.page{fill:#ffffff}.line{stroke:#d1d9e0}.curve{fill:none;stroke-width:2}
@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.dim{fill:#9198a1}.page{fill:#0d1117}.line{stroke:#3d444d}}</style>
<rect class="page" width="${width}" height="${height}"/>
${panels.join('\n')}
</svg>
`;

export function curveOf({ colour, points, name, nameAt }: Curve): string {
  const last = points.at(-1);
  return [
    `<polyline class="curve" stroke="${colour}" points="${points.map((p) => `${round(p.x)},${round(p.y)}`).join(' ')}"/>`,
    ...points.map((p) => `<circle fill="${colour}" cx="${round(p.x)}" cy="${round(p.y)}" r="3"/>`),
    `<text style="fill:${colour}" x="${round((last?.x ?? 0) + 10)}" y="${round(nameAt + 4)}">${name}</text>`,
  ].join('\n');
}

/** Heights for names, near those wanted, none over another and none below the bottom. */
export function apart(wanted: readonly number[], bottom: number): readonly number[] {
  const placed = wanted.map((y, i) => ({ y, i })).sort((a, b) => a.y - b.y);
  for (const [n, label] of placed.entries()) label.y = Math.max(label.y, (placed[n - 1]?.y ?? -Infinity) + LABEL_GAP);
  const over = Math.max(0, (placed.at(-1)?.y ?? 0) - bottom);
  for (const label of placed) label.y -= over;
  return placed.sort((a, b) => a.i - b.i).map(({ y }) => y);
}

export const round = (value: number): string => value.toFixed(1);
