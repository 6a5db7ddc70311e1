/** Tracing can be switched on, and off again, while transactions run: what was recorded without it replays with it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import type { WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot, quiet } from '../saga-more/environment';
import { traceHere, tracedBundle } from './here';
import type { TracedHere } from './here';

const directory = join(packageRoot, 'test/replay/histories');
const histories = readdirSync(directory).map((file) => ({
  workflowId: file.slice(0, -'.json'.length),
  history: JSON.parse(readFileSync(join(directory, file), 'utf8')) as object,
}));

let here: TracedHere;
let workflowBundle: WorkflowBundleWithSourceMap;
beforeAll(async () => {
  quiet();
  here = traceHere();
  workflowBundle = await tracedBundle(here.plugins);
});
afterAll(() => here.stop());

it('every history that was recorded without tracing replays with it, and draws nothing', async () => {
  expect(workflowBundle.code).toContain('opentelemetry.js.api');
  const failed: string[] = [];
  const options = { workflowBundle, plugins: [...here.plugins] };
  for await (const { workflowId, error } of Worker.runReplayHistories(options, histories))
    if (error) failed.push(`${workflowId}: ${error.message}`);
  expect(failed).toEqual([]);
  expect(histories.length).toBeGreaterThan(40);
  expect(here.spans()).toEqual([]);
}, 60_000);
