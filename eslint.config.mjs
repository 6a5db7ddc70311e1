/**
 * Lint rules. Type-aware for everything TypeScript compiles; the arrows between rooms are not here but in
 * scripts/arrows.mjs, because they need resolved paths and chains of imports.
 */
import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const activity = '/^(proxy|schedule)(Local)?Activit(y|ies)$/';
const activityCall = `CallExpression:matches([callee.name=${activity}], [callee.property.name=${activity}])`;
const hasOption = (name) => `:has(> ObjectExpression:has(> Property[key.name="${name}"]))`;

const described = {
  selector: `CallExpression[callee.name="setHandler"]:not(${hasOption('description')})`,
  message:
    'Give the handler a description: the Web UI shows it to whoever is about to send an update, signal or query.',
};

// Loaded once for all workflows of a thread, see workflowBundleOptions() of temporal-txn/worker.
const ofEverybody = [
  ':matches(Program, ExportNamedDeclaration) > VariableDeclaration[kind=/^(let|var)$/]',
  ':matches(Program, ExportNamedDeclaration) > VariableDeclaration > VariableDeclarator > NewExpression[callee.name=/^(Weak)?(Map|Set)$/]',
].map((selector) => ({
  selector,
  message: 'All workflows of a thread have this module in common. Keep it with perWorkflow() of src/workflow.',
}));

export default defineConfig(
  { ignores: ['dist/', '.ci/out/', 'node_modules/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  { rules: { eqeqeq: 'error' } },

  {
    files: ['**/*.mjs'],
    languageOptions: { globals: { console: 'readonly', process: 'readonly' } },
  },

  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // Operations, activities and workflows are async by contract, whether or not they await.
      '@typescript-eslint/require-await': 'off',
    },
  },

  {
    files: ['src/**/*.ts'],
    ignores: ['src/{cli,dev}/**'],
    rules: { 'no-console': 'error' },
  },

  {
    files: ['src/workflow/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: `${activityCall}:not(${hasOption('cancellationType')})`,
          message:
            'Give the options as an object literal with an explicit cancellationType: the default, TRY_CANCEL, reports a ' +
            'cancellation before the activity has stopped, so a compensation could overtake the action it undoes.',
        },
        {
          selector: `${activityCall}:not(${hasOption('summary')})`,
          message: 'Give the activity a summary: the Web UI shows it in the timeline.',
        },
        {
          selector: `CallExpression[callee.name="sleep"]:not(${hasOption('summary')})`,
          message: 'Give the timer a summary: the Web UI shows a mere number instead.',
        },
        {
          selector: `CallExpression[callee.name="condition"][arguments.length>1]:not(${hasOption('summary')})`,
          message: 'Give the timer of the condition a summary: the Web UI shows a mere number instead.',
        },
        described,
        ...ofEverybody,
      ],
    },
  },

  {
    files: ['src/{protocol,observability}/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', ...ofEverybody] },
  },

  {
    files: ['workflows/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', described] },
  },

  {
    files: ['test/**/*.ts'],
    rules: {
      // expect.objectContaining() and its like are typed `any` by vitest.
      '@typescript-eslint/no-unsafe-assignment': 'off',
    },
  },
);
