/** How the tests run: from the sources, five files at a time, with dist/ built for what Temporal loads by path. */
import { relative, resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer } from 'vitest/node';
import LONGEST from './test/longest-files.json' with { type: 'json' };

/**
 * What takes longest, most of a minute or more, begins first, so that at the end nobody waits for one file alone. vitest itself knows
 * that only where it has run them before, and takes the largest file for the longest elsewhere.
 */
class LongestFirst extends BaseSequencer {
  async sort(files) {
    const sorted = await super.sort(files);
    const rankOf = ({ moduleId }) => {
      const rank = LONGEST.indexOf(relative(import.meta.dirname, moduleId));
      return rank < 0 ? LONGEST.length : rank;
    };
    // It is stable: the others keep their order.
    return sorted.sort((one, other) => rankOf(one) - rankOf(other));
  }
}

export default defineConfig({
  resolve: {
    // Tests import the package as its users do and get the sources.
    alias: [{ find: /^temporal-txn\/([a-z]+)$/, replacement: resolve(import.meta.dirname, 'src/$1/index.ts') }],
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    pool: 'forks',
    // Importing the SDK anew for each of the files would take more than a minute of a run. No file leaves anything behind.
    isolate: false,
    // More than there are processors: most tests wait for something that was killed.
    maxWorkers: 5,
    sequence: { sequencer: LongestFirst },
    // No test takes as long by itself; on a busy machine one may.
    testTimeout: 60_000,
    // A second, the default, is no time on a busy machine.
    expect: { poll: { timeout: 20_000, interval: 100 } },
    // A hook may start PostgreSQL and a Temporal server, the first time with a download.
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    // The SDK's client waits to repeat a call that failed, and does so although its connection was closed meanwhile: nobody can
    // catch that. Tests close connections to servers that they have killed.
    onUnhandledError: ({ message, stack }) =>
      !(message === 'Channel has been shut down' && /grpc-retry/.test(stack ?? '')),
    reporters: [process.env.CI ? 'dot' : 'default', ['json', { outputFile: '.ci/out/vitest.json' }]],
  },
});
