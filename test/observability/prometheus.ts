/** Reads the text format of Prometheus, as far as it is used here. */

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Scraped {
  readonly samples: readonly Sample[];
  readonly families: readonly { readonly name: string; readonly kind: string; readonly labels: readonly string[] }[];
  /** Values of a metric, summed, by the values of some labels joined by a space. */
  values(name: string, by: readonly string[]): Record<string, number>;
  /** Bounds of a histogram's buckets. */
  buckets(name: string): readonly number[];
}

export function readMetrics(text: string): Scraped {
  const kinds = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    const [, type, kind] = /^# TYPE (\S+) (\S+)/.exec(line) ?? [];
    if (type !== undefined && kind !== undefined) kinds.set(type, kind);
    const [, name, labels = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    const pairs = [...labels.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)];
    samples.push({
      name,
      labels: Object.fromEntries(pairs.map(([, key = '', text = '']) => [key, text])),
      value: Number(value),
    });
  }
  const of = (family: string): readonly Sample[] =>
    samples.filter(({ name }) => name === family || name.replace(/_(bucket|sum|count)$/, '') === family);
  return {
    samples,
    families: [...kinds].map(([name, kind]) => ({
      name,
      kind,
      labels: [...new Set(of(name).flatMap(({ labels }) => Object.keys(labels)))],
    })),
    values(name, by) {
      const sums: Record<string, number> = {};
      for (const sample of samples.filter((candidate) => candidate.name === name)) {
        const key = by.map((label) => sample.labels[label]).join(' ');
        sums[key] = (sums[key] ?? 0) + sample.value;
      }
      return sums;
    },
    buckets: (name) => {
      const bounds = samples
        .filter((sample) => sample.name === `${name}_bucket`)
        .map(({ labels }) => Number(labels['le']));
      return [...new Set(bounds)].filter(Number.isFinite).sort((a, b) => a - b);
    },
  };
}
