import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { startTimeSkipping, TemporalDevServer } from '../../src/testing';
import { findBinary } from '../../src/testing/binaries/find';
import type { TemporalDevServerOptions } from '../../src/testing';
import { temporaryDirectory } from './fixture';

const status = defineSearchAttributeKey('TxnStatus', 'KEYWORD');
const participants = defineSearchAttributeKey('TxnParticipants', 'KEYWORD_LIST');
const needsAttention = defineSearchAttributeKey('TxnNeedsAttention', 'BOOL');
const searchAttributes = [status, participants, needsAttention];
const values = [
  { key: status, value: 'held' },
  { key: participants, value: ['accounts', 'audit'] },
  { key: needsAttention, value: true },
];

async function start(options: TemporalDevServerOptions): Promise<TemporalDevServer> {
  const server = await TemporalDevServer.start(options);
  onTestFinished(() => server.stop());
  return server;
}

async function connect({ address, namespace }: TemporalDevServer): Promise<Client> {
  const connection = await Connection.connect({ address });
  onTestFinished(() => connection.close());
  return new Client({ connection, namespace });
}

/** A Temporal that panics in its first starts, at the length of a Go program, and notes each start in the file answered. */
async function panicking(starts: number): Promise<string> {
  const directory = temporaryDirectory();
  const [noted, wrapper] = [join(directory, 'starts'), join(directory, 'temporal')];
  const temporal = await findBinary('temporal');
  writeFileSync(
    wrapper,
    `#!/bin/sh
[ "$1" = server ] || exec '${temporal}' "$@"
echo >>'${noted}'
[ "$(wc -l <'${noted}')" -gt ${starts} ] && exec '${temporal}' "$@"
echo 'panic: the reason' >&2
seq -f 'frame %g' 2000 >&2
exit 2
`,
  );
  chmodSync(wrapper, 0o755);
  vi.stubEnv('TEMPORAL_CLI_PATH', wrapper);
  onTestFinished(() => void vi.unstubAllEnvs());
  return noted;
}

async function startWorkflow(client: Client, workflowId: string): Promise<void> {
  await client.workflow.start('anything', { workflowId, taskQueue: 'nobody', typedSearchAttributes: values });
}

describe('a Temporal dev server', () => {
  it('knows its namespace and search attributes from the first moment, and shows its Web UI', async () => {
    const server = await start({ namespace: 'bank', searchAttributes });
    await startWorkflow(await connect(server), 'first');
    const page = await fetch(server.uiUrl ?? '');
    expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringMatching(/^text\/html/)]);
  });

  it.each([
    ['durable', true],
    ['not durable', false],
  ])(
    '%s, keeps workflows and addresses through a crash and a stop, and registers attributes that came later',
    async (_, durable) => {
      const directory = temporaryDirectory();
      const server = await start({ directory, uiPort: false, durable });
      await (await connect(server)).workflow.start('anything', { workflowId: 'kept', taskQueue: 'nobody' });
      await server.kill();
      expect(server.running).toBe(false);
      await server.restart();
      expect((await (await connect(server)).workflow.getHandle('kept').describe()).status.name).toBe('RUNNING');
      await server.stop();
      await server.stop();

      const second = await start({ directory, uiPort: false, durable, searchAttributes });
      expect(second.address).toBe(server.address);
      await startWorkflow(await connect(second), 'later');
    },
  );

  it('is started again when it panics while it starts, and after a kill at the same address', async () => {
    const noted = await panicking(2);
    const server = await start({ uiPort: false });
    expect(readFileSync(noted, 'utf8')).toHaveLength(3);
    await server.kill();
    writeFileSync(noted, '\n');
    const { address } = server;
    await server.restart();
    expect([server.address, readFileSync(noted, 'utf8').length]).toEqual([address, 3]);
  });

  it('is given up after three starts, and the error has the reason and the place of a panic', async () => {
    const noted = await panicking(3);
    await expect(start({ uiPort: false })).rejects.toThrow(
      /^Nothing is left running: .*\(it ended\)\. Its output:\npanic: the reason\nframe 1\n.* bytes left out\].*frame 2000\n Its log/s,
    );
    expect(readFileSync(noted, 'utf8')).toHaveLength(3);
  });
});

describe('the time-skipping environment', () => {
  it('has the search attributes', async () => {
    const environment = await startTimeSkipping({ searchAttributes });
    onTestFinished(() => environment.teardown());
    await startWorkflow(environment.client, 'first');
    const { typedSearchAttributes } = await environment.client.workflow.getHandle('first').describe();
    expect(typedSearchAttributes.get(participants)).toEqual(['accounts', 'audit']);
  });
});
