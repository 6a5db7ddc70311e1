/** docs/failure-points.md: every failure point of two-phase commit, what holds there, and the test that fails without it. */
import { SECTIONS } from './points';
import type { FailurePoint } from './points';

export const PAGE = 'docs/failure-points.md';

const INTRODUCTION = `# Failure points of two-phase commit

<!-- Written by \`npm run failures:page\` from test/failure-points/points.ts. -->

Every point at which two-phase commit can be interrupted or deceived, what holds there, and tests that fail when that is taken away. The protocol is also explored as a
whole, in every order of these failures, with each mechanism taken out once: [what breaks without it](what-breaks-without.md). Each statement to PostgreSQL is lost, delayed
and repeated in \`test/fault-matrix\`, and workers die at each named point in \`test/prepared/crashes.test.ts\` (of both a sample with \`npm test\`, all with \`npm run test:campaign\`).

Out of promise is the loss of what PostgreSQL has acknowledged (I4): an asynchronous failover, or a restore of one database alone.
`;

export const fileOf = (shown: FailurePoint['tests'][number]): string => `test/${shown[0]}.test.ts`;

const cell = (text: string): string => text.replaceAll('|', '\\|');
const testCell = ({ tests }: FailurePoint): string =>
  tests.map((shown) => `\`${fileOf(shown)}\`: ${titleOf(shown)}`).join('<br>');
const titleOf = ([, title]: FailurePoint['tests'][number]): string => cell(title.replace(/^\['|'$/g, ''));

export const writePage = (): string =>
  [
    INTRODUCTION,
    ...SECTIONS.flatMap(({ title, points }) => [
      `## ${title}`,
      '',
      '| | what happens | what holds | shown by |',
      '| --- | --- | --- | --- |',
      ...points.map((point) => `| ${point.code} | ${cell(point.happens)} | ${cell(point.held)} | ${testCell(point)} |`),
      '',
    ]),
  ].join('\n');
