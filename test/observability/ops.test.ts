/** The page, the dashboards and the alerts speak of metrics that are there, and of all of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { METRIC_TABLE } from 'temporal-txn/observability';
import type { Metric } from 'temporal-txn/observability';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { PAGE, writePage } from './page';

const root = resolve(__dirname, '../..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const table: readonly Metric[] = Object.values<Metric>(METRIC_TABLE);

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly datasource: { readonly uid: string };
    readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
}
const dashboards = readdirSync(join(root, 'ops/grafana'))
  .filter((file) => file.endsWith('.json'))
  .map((file) => ({ file, board: JSON.parse(read(`ops/grafana/${file}`)) as Dashboard }));

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}
const { groups } = parse(read('ops/prometheus/alerts.yml')) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);

const expressions = [
  ...dashboards.flatMap(({ file, board }) =>
    board.panels.flatMap(({ title, targets }) =>
      targets.map(({ expr, legendFormat }) => ({
        where: `${file}: ${title}`,
        expr,
        shown: legendFormat,
        pattern: /\{\{(\w+)\}\}/g,
      })),
    ),
  ),
  ...rules.map(({ alert, expr, annotations }) => ({
    where: alert,
    expr,
    shown: annotations.summary,
    pattern: /\{\{ \$labels\.(\w+) \}\}/g,
  })),
];

/** The series that a metric makes. */
const seriesOf = ({ name, kind }: Metric): string[] =>
  kind === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];

const metricsIn = (expr: string): Metric[] =>
  [...expr.matchAll(/\btxn_\w+/g)].map(([series]) => {
    const metric = table.find((candidate) => seriesOf(candidate).includes(series));
    if (!metric) throw new Error(`Nothing is called ${series}.`);
    return metric;
  });

/** What PromQL selects by or groups by. */
const labelsIn = (expr: string): string[] => [
  ...[...expr.matchAll(/\b(?:by|without) \(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(',').map((label) => label.trim()),
  ),
  ...[...expr.matchAll(/\{([^}]*)\}/g)].flatMap(([, list = '']) =>
    [...list.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
  ),
];

describe('docs/metrics.md', () => {
  it('is what `npm run metrics:page` writes', async () => {
    const file = join(root, PAGE);
    expect(read(PAGE)).toBe(await format(writePage(), { ...(await resolveConfig(file)), parser: 'markdown' }));
  });
});

describe('every metric', () => {
  const sources = ['workflow', 'participant', 'outbox', 'worker', 'client']
    .flatMap((room) =>
      readdirSync(join(root, 'src', room), { recursive: true, encoding: 'utf8' }).map((file) => `src/${room}/${file}`),
    )
    .filter((file) => file.endsWith('.ts'))
    .map(read)
    .join('\n');

  it.each(Object.entries<Metric>(METRIC_TABLE))(
    '%s is told somewhere, in words that Prometheus knows',
    (key, metric) => {
      expect(sources).toContain(`METRICS.${key}`);
      expect(metric.name).toMatch(/^txn_[a-z_]+$/);
      expect(metric.name.endsWith('_total')).toBe(metric.kind === 'counter');
      expect(metric.name.endsWith('_seconds')).toBe(metric.unit === 'seconds');
      expect(metric.buckets !== undefined).toBe(metric.kind === 'histogram');
      // Of these there are as many as there are transactions.
      expect(metric.labels.filter((label) => /transaction|branch|gid|workflow|run|event_id|key/.test(label))).toEqual(
        [],
      );
    },
  );

  it.each(table)('$name is on a dashboard', (metric) => {
    const shown = dashboards.flatMap(({ board }) =>
      board.panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => metricsIn(expr))),
    );
    expect(shown).toContain(metric);
  });
});

describe('every expression', () => {
  it.each(expressions)('$where asks for what is there', ({ expr, shown, pattern }) => {
    const metrics = metricsIn(expr);
    const known = [
      ...metrics.flatMap(({ labels }) => labels),
      ...(metrics.length === 0 ? ['job', 'instance'] : ['le']),
    ];
    if (metrics.length === 0) expect(expr).toMatch(/^up\{/);
    for (const label of labelsIn(expr)) expect(known, expr).toContain(label);
    // What is shown must have survived the grouping.
    const grouped = /\bby \(([^)]*)\)/
      .exec(expr)?.[1]
      ?.split(',')
      .map((label) => label.trim());
    for (const [, label] of shown.matchAll(pattern))
      expect(grouped ?? known, `${expr} shows ${label}`).toContain(label);
    // A counter appears with the first thing that it counts, and has not grown since: of that first thing nobody would hear.
    for (const [grown, counter = '', time = ''] of expr.matchAll(/\bincrease\(([^[]+)\[(\w+)\]\)/g))
      expect(expr.replace(/\s+/g, ' ')).toContain(`(${counter} unless ${counter} offset ${time}) or ${grown}`);
    // A counter alone says how long a process has run.
    for (const { kind, name } of metrics)
      if (kind !== 'gauge') expect(expr).toMatch(new RegExp(`(rate|increase)\\(${name}`));
  });
});

describe('the dashboards', () => {
  it.each(dashboards)('$file has panels with a name each, side by side', ({ board }) => {
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
    const cells = board.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(board.panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
    for (const { datasource } of board.panels) expect(datasource.uid).toBe('prometheus');
  });
});

describe('the alerts', () => {
  const runbook = read('docs/runbook.md');
  const headings = [...runbook.matchAll(/^## (\w+)$/gm)].map(([, heading = '']) => heading);

  it.each(rules)('$alert has a part of the runbook, and says how urgent it is', ({ alert, annotations, labels }) => {
    expect(annotations.runbook).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
    expect(headings).toContain(alert);
    expect(['page', 'ticket']).toContain(labels.severity);
  });

  it('are all that the runbook speaks of, in their order', () => {
    expect(headings).toEqual(rules.map(({ alert }) => alert));
  });

  it('say from which value on, and no page says it a second time', () => {
    const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((file) => `docs/${file}`)];
    const again = pages
      .filter((file) => file.endsWith('.md'))
      .flatMap((file) => [...read(file).matchAll(/\btxn_\w+` [<>]=? [\d.]+/g)].map(([said]) => `${file}: ${said}`));
    expect(again).toEqual([]);
  });

  it('are loaded by the Prometheus of docker-compose.yml, which looks at every worker there', () => {
    const compose = parse(read('docker-compose.yml'), { merge: true }) as {
      services: Record<string, { command?: string[]; environment?: Record<string, string>; volumes?: string[] }>;
    };
    const prometheus = parse(read('ops/prometheus/prometheus.yml')) as {
      rule_files: string[];
      scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
    };
    const mounted = compose.services['prometheus']?.volumes?.map((mount) => mount.split(':')[1]);
    for (const file of prometheus.rule_files) expect(mounted).toContain(file);
    const workers = Object.entries(compose.services).filter(([, { command }]) => command?.[1]?.endsWith('/worker.js'));
    const [job] = prometheus.scrape_configs;
    expect(job?.job_name).toBe('temporal-txn');
    expect(job?.static_configs.flatMap(({ targets }) => targets).sort()).toEqual(
      workers.map(([name, { environment }]) => `${name}:${environment?.['TXN_METRICS_ADDRESS']?.split(':')[1]}`).sort(),
    );
  });
});
