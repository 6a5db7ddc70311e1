/** Holds the lint rules that everything scheduled by src/workflow says how it is cancelled, and what it is for, and that no module keeps what is a workflow's. */
import { resolve } from 'node:path';
import { ESLint } from 'eslint';
import { describe, expect, it } from 'vitest';

const root = resolve(__dirname, '../..');
// The snippets are files of no project, so the rules that need types are left out: what is tested needs none.
const eslint = new ESLint({
  cwd: root,
  ruleFilter: ({ ruleId }) => ruleId === 'no-restricted-syntax',
  overrideConfig: { languageOptions: { parserOptions: { project: null } } },
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
    expect(await complaints(code)).toContainEqual(expect.stringContaining('explicit cancellationType'));
  });

  it.each([
    `proxyActivities({ startToCloseTimeout: '10s', cancellationType: ActivityCancellationType.ABANDON, summary });`,
    `wf.proxyActivities({ ...shared, cancellationType, summary: 'at the bank' });`,
    `scheduleActivity('debit', [input], { cancellationType: 'ABANDON', summary });`,
    `condition(() => true);`,
  ])('may name it: %s', async (code) => {
    expect(await complaints(code)).toEqual([]);
  });

  it('leaves the options of business code alone', async () => {
    expect(await complaints(`proxyActivities({ startToCloseTimeout: '10s' });`, 'workflows/snippet.ts')).toEqual([]);
  });
});

describe('what the Web UI shows of src/workflow', () => {
  it.each([
    [`proxyActivities({ cancellationType });`, 'Give the activity a summary'],
    [`sleep('1s');`, 'Give the timer a summary'],
    [`condition(() => true, '1s');`, 'Give the timer of the condition a summary'],
    [`setHandler(look, () => undefined);`, 'Give the handler a description'],
    [`setHandler(look, () => ({ description }));`, 'Give the handler a description'],
  ])('may not be nameless: %s', async (code, complaint) => {
    expect(await complaints(code)).toEqual([expect.stringContaining(complaint)]);
  });

  it.each([
    `sleep('1s', { summary: 'pause' });`,
    `condition(() => true, '1s', { summary });`,
    `setHandler(look, () => undefined, { description: 'Looks' });`,
  ])('may say what it is for: %s', async (code) => {
    expect(await complaints(code)).toEqual([]);
  });

  it('has descriptions of the handlers of business workflows too', async () => {
    const code = `setHandler(look, () => undefined);`;
    expect(await complaints(code, 'workflows/snippet.ts')).toEqual([
      expect.stringContaining('Give the handler a description'),
    ]);
  });
});

describe('modules that all workflows of a thread have in common', () => {
  it.each([
    `let open = false;`,
    `export let open = false;`,
    `const posted = new Map();`,
    `export const seen: Set<string> = new Set();`,
  ])('keep nothing that is of a workflow: %s', async (code) => {
    for (const room of ['workflow', 'protocol', 'observability'])
      expect(await complaints(code, `src/${room}/snippet.ts`), room).toEqual([
        expect.stringContaining('Keep it with perWorkflow()'),
      ]);
  });

  it.each([
    `const desk = perWorkflow(() => ({ entries: new Set(), open: false }));`,
    `function f() { let n = 0; const m = new Map(); return [n++, m]; }`,
    `const KEYS = { status: 'TxnStatus' };`,
  ])('may hold what never changes, and what is kept for each: %s', async (code) => {
    expect(await complaints(code)).toEqual([]);
  });
});
