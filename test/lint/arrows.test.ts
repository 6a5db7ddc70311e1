/**
 * Holds the arrows between rooms (scripts/arrows.mjs): each rule fires on an import that points the wrong way and is silent
 * on its neighbour that points the right way. All wrong imports lie in one tree of sources and all right ones in another,
 * so that two runs of the shipped check answer every case.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface Case {
  rule: string;
  file: string;
  wrong: string;
  right: string;
}

const cases: Case[] = [
  {
    rule: 'rooms-meet-at-the-index',
    file: 'src/worker/run.ts',
    wrong: `import { part } from '../participant/part'`,
    right: `import { part } from '../participant'`,
  },
  {
    rule: 'rooms-meet-at-the-index',
    file: 'src/participant/branch.ts',
    wrong: `import type { Part } from '../protocol/part'`,
    right: `import type { Part } from '../protocol'`,
  },
  {
    rule: 'rooms-meet-at-the-index',
    file: 'src/testing/kit.ts',
    wrong: `import { part } from '../client/part'`,
    right: `import { part } from '../client'`,
  },
  {
    rule: 'outbox-stands-on-the-participant-side',
    file: 'src/outbox/relay.ts',
    wrong: `import { part } from '../client'`,
    right: `import { part } from '../protocol'`,
  },
  {
    rule: 'outbox-stands-on-the-participant-side',
    file: 'src/outbox/lag.ts',
    wrong: `import type { Part } from '../workflow'`,
    right: `import type { Part } from '../participant'`,
  },
  {
    rule: 'rooms-know-only-protocol',
    file: 'src/observability/names.ts',
    wrong: `import { part } from '../workflow'`,
    right: `import { part } from '../protocol'`,
  },
  {
    rule: 'rooms-know-only-protocol',
    file: 'src/protocol/up.ts',
    wrong: `import type { Part } from '../observability'`,
    right: `import type { Part } from './part'`,
  },
  {
    rule: 'observed-rooms-know-only-protocol-and-observability',
    file: 'src/client/start.ts',
    wrong: `import type { Part } from '../workflow'`,
    right: `import { part } from '../observability'`,
  },
  {
    rule: 'observed-rooms-know-only-protocol-and-observability',
    file: 'src/participant/by-name.ts',
    wrong: `import { part } from 'temporal-txn/client'`,
    right: `import { part } from 'temporal-txn/observability'`,
  },
  {
    rule: 'protocol-imports-nothing',
    file: 'src/protocol/npm.ts',
    wrong: `import { Context } from '@temporalio/common'`,
    right: `import type { Context } from '@temporalio/common'`,
  },
  {
    rule: 'protocol-imports-nothing',
    file: 'src/protocol/clock.ts',
    wrong: `import { performance } from 'node:perf_hooks'`,
    right: `import { part } from './part'`,
  },
  {
    rule: 'tracing-is-optional',
    file: 'src/worker/traced.ts',
    wrong: `import { part } from '../tracing'`,
    right: `import { part } from '../observability'`,
  },
  {
    rule: 'tracing-is-optional',
    file: 'src/outbox/spans.ts',
    wrong: `import type { Span } from '@opentelemetry/api'`,
    right: `import type { Part } from '../observability'`,
  },
  {
    rule: 'observed-rooms-know-only-protocol-and-observability',
    file: 'src/tracing/spans.ts',
    wrong: `import type { Part } from '../worker'`,
    right: `import type { Span } from '@opentelemetry/api'`,
  },
  {
    rule: 'library-knows-no-application',
    file: 'src/cli/demo.ts',
    wrong: `import { part } from '../../activities/bank/part'`,
    right: `import { part } from '../participant'`,
  },
  {
    rule: 'applications-use-the-package-name',
    file: 'clients/by-path.ts',
    wrong: `import { part } from '../src/client'`,
    right: `import { part } from 'temporal-txn/client'`,
  },
  {
    rule: 'applications-use-public-subpaths',
    file: 'clients/deep.ts',
    wrong: `import { part } from 'temporal-txn/client/part'`,
    right: `import { part } from 'temporal-txn/observability'`,
  },
  {
    rule: 'workflows-know-only-the-workflow-room',
    file: 'workflows/validated.ts',
    wrong: `import type { Schema } from 'zod'`,
    right: `import type { Duration } from '@temporalio/common'`,
  },
  {
    rule: 'workflows-know-only-the-workflow-room',
    file: 'workflows/starter.ts',
    wrong: `import type { Part } from 'temporal-txn/client'`,
    right: `import { part } from 'temporal-txn/workflow'`,
  },
  {
    rule: 'workflows-know-activities-by-type',
    file: 'workflows/transfer.ts',
    wrong: `import { part } from '../activities/bank/part'`,
    right: `import type { Part } from '../activities/bank/part'`,
  },
  {
    rule: 'activities-know-only-the-participant-side',
    file: 'activities/bank/operations.ts',
    wrong: `import { part } from 'temporal-txn/worker'`,
    right: `import { part } from 'temporal-txn/participant'`,
  },
  {
    rule: 'activity-workers-know-only-the-worker-side',
    file: 'activities/bank/worker.ts',
    wrong: `import { part } from 'temporal-txn/client'`,
    right: `import { part } from 'temporal-txn/worker'`,
  },
  {
    rule: 'activities-know-no-caller',
    file: 'activities/bank/caller.ts',
    wrong: `import type { Part } from '../../workflows/part'`,
    right: `import { part } from './part'`,
  },
  {
    rule: 'sandbox-reaches-only-pure-code',
    file: 'src/workflow/direct.ts',
    wrong: `import { Pool } from 'pg'`,
    right: `import type { Pool } from 'pg'`,
  },
  {
    rule: 'sandbox-reaches-only-pure-code',
    file: 'src/workflow/hash.ts',
    wrong: `import { createHash } from 'crypto'`,
    right: `import { sleep } from '@temporalio/workflow'`,
  },
  {
    rule: 'sandbox-reaches-only-pure-code',
    file: 'src/workflow/other-side.ts',
    wrong: `import { Client } from '@temporalio/client'`,
    right: `import { sleep } from '@temporalio/workflow'`,
  },
  {
    rule: 'sandbox-reaches-only-pure-code',
    file: 'src/workflow/chain.ts',
    wrong: `import { part } from '../observability/impure'`,
    right: `import { part } from '../observability'`,
  },
  {
    rule: 'sandbox-reaches-only-pure-code',
    file: 'workflows/chain.ts',
    wrong: `import { part } from './worker'`,
    right: `import { part } from './part'`,
  },
  {
    rule: 'traced-sandbox-reaches-only-pure-code',
    file: 'src/tracing/workflow-interceptors.ts',
    wrong: `import { Client } from '@temporalio/client'`,
    right: `import { trace } from '@opentelemetry/api'`,
  },
  {
    rule: 'observability-stays-pure',
    file: 'src/observability/meter.ts',
    wrong: `import { metricMeter } from '@temporalio/activity'`,
    right: `import { metricMeter } from '@temporalio/workflow'`,
  },
  {
    rule: 'observability-stays-pure',
    file: 'src/observability/clock.ts',
    wrong: `import { hrtime } from 'node:process'`,
    right: `import { part } from '../protocol'`,
  },
];

const rooms = [
  'protocol',
  'workflow',
  'participant',
  'outbox',
  'client',
  'observability',
  'tracing',
  'testing',
  'cli',
  'worker',
];
const packages = [
  'pg',
  'zod',
  '@opentelemetry/api',
  ...['common', 'workflow', 'client', 'activity'].map((p) => `@temporalio/${p}`),
];

let folder: string;
let wrong: string;
let right: string;

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'arrows-')));
  // What one wrong import leads to further on: a worker main beside the workflows, an impure file in a pure room.
  const leaks = {
    'workflows/worker.ts': `import { Worker } from '@temporalio/client';\nexport const part = Worker;\n`,
    'src/observability/impure.ts': `import { readFileSync } from 'node:fs';\nexport const part = readFileSync;\n`,
  };
  wrong = check('wrong', { ...leaks, ...Object.fromEntries(cases.map((c) => [c.file, using(c.wrong)])) });
  right = check('right', Object.fromEntries(cases.map((c) => [c.file, using(c.right)])));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('arrows between rooms', () => {
  it.each(cases)('$rule: $file may not say $wrong', ({ rule, file }) => {
    expect(wrong.split('\n')).toContainEqual(expect.stringContaining(`${rule}: ${file} -> `));
  });

  it.each(cases)('$rule: $file may say $right', ({ file }) => {
    expect(right.split('\n')).not.toContainEqual(expect.stringContaining(`: ${file} -> `));
  });

  it('shows the chain through which workflow code reaches what it must not', () => {
    expect(wrong).toContain('src/workflow/chain.ts -> src/observability/impure.ts -> fs');
  });

  it('has a case for every rule', async () => {
    const script = resolve(__dirname, '../../scripts/arrows.mjs');
    const { sourceRules, runtimeRules } = (await import(script)) as Record<string, { name: string }[]>;
    const names = [...(sourceRules ?? []), ...(runtimeRules ?? [])].map(({ name }) => name);
    expect(new Set(cases.map(({ rule }) => rule))).toEqual(new Set(names));
  });
});

/** The import, and a use of what it imports: an unused one would be dropped by the compiler and prove nothing. */
function using(statement: string): string {
  const name = /\{ (\w+) \}/.exec(statement)?.[1] ?? '';
  const use = statement.startsWith('import type') ? `export type Used = ${name}` : `export const used = ${name}`;
  return `${statement};\n${use};\n`;
}

/** Runs the shipped check over a tree of sources in which every room and package exists, and returns what it printed. */
function check(name: string, sources: Record<string, string>): string {
  const part = 'export const part = 1;\nexport type Part = number;\n';
  const root = join(folder, name);
  for (const room of rooms) {
    write(join(root, 'src', room, 'index.ts'), part);
    write(join(root, 'src', room, 'part.ts'), part);
  }
  for (const home of ['workflows', 'activities/bank']) write(join(root, home, 'part.ts'), part);
  for (const npm of packages) write(join(root, 'node_modules', npm, 'index.js'), '');
  for (const [path, text] of Object.entries(sources)) write(join(root, path), text);

  const script = resolve(__dirname, '../../scripts/check-arrows.mjs');
  const { stdout, stderr } = spawnSync(process.execPath, [script, root], { encoding: 'utf8' });
  if (stderr) throw new Error(`The check itself failed: ${stderr}`);
  return stdout;
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
