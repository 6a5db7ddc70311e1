/** docs/metrics.md, from the table of the metrics. */
import { METRIC_TABLE } from '../../src/observability';
import type { Metric } from '../../src/observability';

export const PAGE = 'docs/metrics.md';

const INTRODUCTION = `# Metrics

<!-- Written by \`npm run metrics:page\` from src/observability/metrics.ts. -->

All metrics go through Temporal's meter, beside those of the SDK. Workers of \`runCoordinator\`, \`runParticipant\` and \`runOutboxRelay\` serve them to Prometheus when
\`TXN_METRICS_ADDRESS\` is set: \`9464\` for this machine only, \`0.0.0.0:9464\` for everybody who can reach it, at \`/metrics\`. There is no password: keep it in
your own network. Each process needs a port of its own, and does not start where somebody else has it (\`MetricsNotServed\`).

A process that installs Temporal's \`Runtime\` itself configures its metrics there, with \`HISTOGRAM_BUCKETS\` of \`temporal-txn/observability\`; the variable is then
ignored, with a warning.

A label never holds an id of a transaction, branch, workflow or event (\`test/observability/metrics.test.ts\`). A counter appears with the first thing that it counts, and \`increase()\` says
0 of that one. Ask for \`(m unless m offset 15m) or increase(m[15m])\`, which takes a series that is younger than 15 minutes as a whole, as the alert rules do. A gauge whose worker cannot know it any more, or has
stopped, is \`NaN\`: alerts and dashboards take no notice of it. Workers beside one database tell the same of it, so ask for the \`max\` of them.

Dashboards for Grafana are in \`ops/grafana\`, alert rules for Prometheus in \`ops/prometheus/alerts.yml\`; each alert names its part of the [runbook](runbook.md).
\`docker compose up\` has all of it.
`;

export function writePage(): string {
  const rows = Object.values<Metric>(METRIC_TABLE).map(
    ({ name, kind, labels, from, meaning }) =>
      `| \`${name}\` | ${kind} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${from} | ${meaning} |`,
  );
  const buckets = Object.values<Metric>(METRIC_TABLE).flatMap(({ name, buckets: bounds }) =>
    bounds ? [`| \`${name}\` | ${bounds.join(', ')} |`] : [],
  );
  return [
    INTRODUCTION,
    '| metric | kind | labels | told by | meaning |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
    'Temporal adds the labels of its SDK, such as `namespace`. Upper bounds of the buckets:',
    '',
    '| histogram | upper bounds |',
    '| --- | --- |',
    ...buckets,
    '',
  ].join('\n');
}
