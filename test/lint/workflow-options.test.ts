/** Holds the lint rule that every activity scheduled by src/workflow says how it is cancelled. */
import { resolve } from 'node:path';
import { ESLint } from 'eslint';
import { describe, expect, it } from 'vitest';

const root = resolve(__dirname, '../..');
// The snippets are files of no project, so the rules that need types are left out: what is tested needs none.
const eslint = new ESLint({
  cwd: root,
  ruleFilter: ({ ruleId }) => ruleId === 'no-restricted-syntax',
  overrideConfig: { languageOptions: { parserOptions: { projectService: false } } },
});

async function complaints(code: string, filePath = 'src/workflow/snippet.ts'): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath: resolve(root, filePath) });
  return (result?.messages ?? []).map(({ message }) => message);
}

describe('activity options in src/workflow', () => {
  it.each([
    `proxyActivities({ startToCloseTimeout: '10s' });`,
    `proxyActivities<Bank>({ retry: { cancellationType } });`,
    `wf.proxyActivities({ startToCloseTimeout: '10s' });`,
    `proxyLocalActivities({ startToCloseTimeout: '1s' });`,
    `proxyActivities(options);`,
    `scheduleActivity('debit', [{ cancellationType }], { startToCloseTimeout: '10s' });`,
  ])('may not leave the cancellation type out: %s', async (code) => {
    expect(await complaints(code)).toEqual([expect.stringContaining('explicit cancellationType')]);
  });

  it.each([
    `proxyActivities({ startToCloseTimeout: '10s', cancellationType: ActivityCancellationType.ABANDON });`,
    `wf.proxyActivities({ ...shared, cancellationType });`,
    `scheduleActivity('debit', [input], { cancellationType: 'ABANDON' });`,
    `condition(() => true);`,
  ])('may name it: %s', async (code) => {
    expect(await complaints(code)).toEqual([]);
  });

  it('leaves the options of business code alone', async () => {
    expect(await complaints(`proxyActivities({ startToCloseTimeout: '10s' });`, 'workflows/snippet.ts')).toEqual([]);
  });
});
