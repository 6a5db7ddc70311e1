/** How the tests run: from the sources, two files at a time, with dist/ built for what Temporal loads by path. */
import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    // Tests import the package as its users do and get the sources.
    alias: [{ find: /^temporal-txn\/([a-z]+)$/, replacement: resolve(import.meta.dirname, 'src/$1/index.ts') }],
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    // A hook may start PostgreSQL and a Temporal server, the first time with a download.
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    reporters: [process.env.CI ? 'dot' : 'default', ['json', { outputFile: '.ci/out/vitest.json' }]],
  },
});
