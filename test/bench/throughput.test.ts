/**
 * The benchmark of throughput: that it measures what it says, and sees when money is not where it should be. No test holds a time. The
 * processes of the contestants are compiled ones, so all that starts them is taken from dist/.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { XMLValidator } from 'fast-xml-parser';
import { check, resolveConfig } from 'prettier';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inClosedLoop } from '../../bench/closed-loop';
import type * as CompanyModule from '../../bench/throughput/company';
import type { Way } from '../../bench/throughput/contestants';
import type { Applied } from '../../bench/throughput/ledger';
import { filesOf, RECORDED_FILE } from '../../bench/throughput/page';
import type * as PartModule from '../../bench/throughput/part';
import { newestNode, ownNode, whyMissing } from '../../bench/throughput/peers';
import { reportOf } from '../../bench/throughput/report';
import type { Measured, ThroughputReport } from '../../bench/throughput/report';
import type { Callers, Cell } from '../../bench/throughput/rounds';
import { isTurnOf } from '../depth';
import { taken } from './taken';

const root = resolve(__dirname, '../..');
const compiled = <Module>(name: string): Promise<Module> =>
  import(resolve(root, `dist/bench/throughput/${name}.js`)) as Promise<Module>; // Cast: compiled from it.

const OURS: readonly Way[] = ['direct', 'saga', '2pc'];

describe.skipIf(!isTurnOf('comparison', 'throughput'))('a run', () => {
  let company: CompanyModule.Company;

  beforeAll(async () => {
    const { openCompany } = await compiled<typeof CompanyModule>('company');
    company = await openCompany(() => undefined, OURS);
  });

  afterAll(() => company?.stage.stop());

  it('measures everybody, and finds all the money where it should be', async () => {
    const { run } = await compiled<typeof PartModule>('part');
    const options = { rounds: 1, size: { alone: 2, together: 2 }, lastBeginMs: 0, say: () => undefined };
    const { report, text, violations } = await run(company, options, { began: Date.now(), load: 0 });
    expect(violations).toBe(0);
    expect(report.figures.map(({ way, callers, refused }) => ({ way, callers, refused }))).toEqual(
      OURS.map((way) => ({ way, callers: 1, refused: 0 })),
    );
    const [direct, saga, twoPhase] = report.figures;
    expect(direct?.cost).toBeUndefined();
    expect(saga?.cost).toMatchObject({ workflows: 1, actions: 3 });
    expect(twoPhase?.cost).toMatchObject({ workflows: 1, actions: 7 });
    for (const { throughput, p50Ms, cpu } of report.figures) {
      expect(throughput.median).toBeGreaterThan(0);
      expect(p50Ms).toBeGreaterThan(0);
      expect(cpu?.postgres).toBeGreaterThanOrEqual(0);
    }
    // Held open, each of them, or there would be no figure.
    expect(report.entrants.map(({ openBytes }) => typeof openBytes)).toEqual(['number', 'number', 'undefined']);
    for (const { title } of report.entrants) expect(text).toContain(title);
  }, 60_000);

  it('sees a transfer that is applied twice, halfway, not at all, or to another account', async () => {
    const { ledger, stage } = company;
    const moved = async (bank: 'north-bank' | 'south-bank', n: number, account = n): Promise<void> => {
      const [kind, amount] = bank === 'north-bank' ? ['debit', -1] : ['credit', 1];
      await stage.pool(bank).query(
        `with moved as (update account set balance = balance + $3 where id = 'account-' || $4)
         insert into entry (account, kind, amount, transaction_id, branch_id)
         values ('account-' || $4, $2, $3, 'way-' || $1, gen_random_uuid())`,
        [n, kind, amount, account],
      );
    };
    const wrong = (count: number, rest: Partial<Applied> = {}): Promise<number> =>
      ledger.check({ way: 'way', first: 7, count, refused: [], ...rest });
    await moved('north-bank', 7);
    await moved('south-bank', 7);
    expect(await wrong(1)).toBe(0);
    // Looked at once: they are not there a second time.
    expect(await wrong(0)).toBe(0);
    expect(await wrong(1)).toBe(2);
    // Money is missing until the credit comes.
    await moved('north-bank', 7);
    expect(await wrong(1)).toBe(2);
    await moved('south-bank', 7);
    await moved('south-bank', 7);
    await moved('north-bank', 7);
    expect(await wrong(1)).toBe(1);
    await moved('north-bank', 7, 8);
    await moved('south-bank', 7, 7);
    expect(await wrong(1)).toBe(2);
    expect(await wrong(1, { refused: [7] })).toBe(0);
    await moved('north-bank', 7);
    await moved('south-bank', 7);
    expect(await wrong(1, { refused: [7] })).toBe(2);
    expect(await stage.violations()).toBe(0);
  });
});

describe('callers', () => {
  it('make each number once, no more at a time than there are callers', async () => {
    const made: number[] = [];
    let atOnce = 0;
    let most = 0;
    const count = await inClosedLoop(3, { first: 5, count: 8 }, async (n) => {
      most = Math.max(most, ++atOnce);
      await new Promise(setImmediate);
      made.push(n);
      atOnce--;
    });
    expect([count, most]).toEqual([8, 3]);
    expect(made.sort((a, b) => a - b)).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
  });

  it('make one each when the time is over', async () => {
    expect(await inClosedLoop(3, { first: 0, count: 8, seconds: 0 }, async () => undefined)).toBe(3);
    expect(await inClosedLoop(9, { first: 0, count: 8, seconds: 0 }, async () => undefined)).toBe(8);
  });
});

describe('a peer', () => {
  it('that is not installed is missing, with what to do about it', () => {
    expect(whyMissing('no-such-package', ownNode())).toBe('it is not installed: npm run bench:peers');
  });

  it('has the Node.js that everybody has, and none is older than this one', () => {
    const { path, version } = newestNode();
    expect(execFileSync(path, ['--version'], { encoding: 'utf8' }).trim()).toBe(`v${version}`);
    expect(Number.parseInt(version, 10)).toBeGreaterThanOrEqual(Number.parseInt(process.versions.node, 10));
  });
});

const cell = (way: Way, round: number, callers: Callers, throughput: number): Cell => ({
  way,
  callers,
  round,
  transfers: 4 * throughput,
  refused: way === '2pc' ? 3 : 0,
  throughput,
  p50Ms: (1000 * callers) / throughput,
  p99Ms: (3000 * callers) / throughput,
  cpu: { workers: 1, postgres: 2, server: 0 },
  cost: way === 'saga' ? { workflows: 1, events: 17, actions: 3 } : undefined,
});

/** Two rounds, the second on a machine that is half as fast. */
const measured: Measured = {
  taken,
  rounds: 2,
  open: 512,
  entrants: [
    { way: 'direct', title: 'direct pg', openBytes: 2048 },
    { way: 'saga', title: 'saga', openBytes: 99_999 },
    { way: 'hand-written', title: 'hand-written workflow' },
    { way: '2pc', title: 'two-phase commit' },
    { way: 'dbos', title: 'DBOS', version: '5.3.0' },
  ],
  missing: [{ title: 'Restate', why: 'it is not installed' }],
  cells: [0, 1].flatMap((round) =>
    ([1, 64] as const).flatMap((callers) => [
      cell('direct', round, callers, (callers * 400) / (round + 1)),
      cell('saga', round, callers, (callers * 50) / (round + 1)),
      cell('hand-written', round, callers, (callers * 40) / (round + 1)),
      cell('2pc', round, callers, (callers * 25) / (round + 1)),
      cell('dbos', round, callers, (callers * 100) / (round + 1)),
    ]),
  ),
};

describe('the report', () => {
  const report = reportOf(measured);
  const figuresOf = (way: Way, callers: number) =>
    report.figures.find((figures) => figures.way === way && figures.callers === callers);

  it('takes ratios within a round', () => {
    expect(figuresOf('saga', 64)?.throughput).toEqual({ median: 2400, least: 1600, most: 3200 });
    expect(figuresOf('saga', 64)?.toDirect).toEqual({ median: 0.125, least: 0.125, most: 0.125 });
    expect(figuresOf('saga', 64)?.toPeers).toEqual({ median: 0.5, least: 0.5, most: 0.5 });
    expect(figuresOf('direct', 1)?.toDirect).toBeUndefined();
    expect(figuresOf('dbos', 1)?.toPeers).toBeUndefined();
    expect(figuresOf('2pc', 1)).toMatchObject({ refused: 6, transfers: 150 });
  });

  it('says which aims were met', () => {
    expect(report.aims).toEqual([
      { way: 'saga', callers: 1, goal: 'no slower than hand-written workflow', measured: 0.8, met: true },
    ]);
    const faster = measured.cells.map((one) => (one.way === 'hand-written' ? { ...one, p50Ms: one.p50Ms / 2 } : one));
    expect(reportOf({ ...measured, cells: faster }).aims).toMatchObject([{ measured: 1.6, met: false }]);
    expect(reportOf({ ...measured, cells: measured.cells.filter(({ way }) => way !== 'saga') }).aims).toEqual([]);
  });

  it('becomes a page that is laid out as all others, and a drawing', async () => {
    const { 'docs/performance.md': page = '', 'docs/images/throughput.svg': plot = '' } = filesOf(report);
    for (const { title } of [...report.entrants, ...report.missing]) expect(page).toContain(title);
    const file = resolve(root, 'docs/performance.md');
    expect(await check(page, { ...(await resolveConfig(file)), filepath: file })).toBe(true);
    expect(XMLValidator.validate(plot)).toBe(true);
    expect(plot.match(/<polyline /g)).toHaveLength(2 * report.entrants.length);
    expect(plot).not.toMatch(/NaN|undefined|Infinity/);
  });
});

// Until a run has been recorded there is nothing to compare.
describe.skipIf(!existsSync(resolve(root, RECORDED_FILE)))('docs/performance.md', () => {
  // Cast: a run of the benchmark has written it.
  const recorded = (): ThroughputReport =>
    JSON.parse(readFileSync(resolve(root, RECORDED_FILE), 'utf8')) as ThroughputReport;
  const page = (): string => readFileSync(resolve(root, 'docs/performance.md'), 'utf8');
  const aimsUnder = (title: string): string[] => {
    const [, section = ''] = page().split(`\n## ${title}\n`);
    const [table = ''] = section.split('\n## ');
    return [...table.matchAll(/^\| (\S.*\S) +\| [\d.]+ +\| (?:yes|no) +\|$/gm)].map(([, aim = '']) => aim);
  };
  const EACH = 'Aims, a local transaction for each movement';
  const SETS = 'Aims, many movements in one local transaction';

  it('shows what was recorded; otherwise run `npm run performance:page`', () => {
    for (const [path, content] of Object.entries(filesOf(recorded())))
      expect(readFileSync(resolve(root, path), 'utf8')).toBe(content);
  });

  it('calls whom an aim is about as the rows of the tables do, with what those show', () => {
    const { aims, entrants } = recorded();
    const shown = [...aimsUnder(EACH), ...aimsUnder(SETS)];
    expect(shown).toHaveLength(aims.length);
    const titles = entrants.map(({ title }) => title);
    for (const aim of shown) {
      const who = aim.replace(/, [\d,]+ callers?: .*$/, '');
      expect(titles, aim).toContain(who);
    }
    expect(page()).toContain(
      '| saga, grouped, one process, 64 callers: at least 1.5 times the better of DBOS and Restate  | 1.65     | yes |',
    );
  });

  it('tells those that do many movements in one local transaction from the others', () => {
    const isSet = (text: string): boolean => text.includes('executeMany');
    expect(aimsUnder(EACH).filter(isSet)).toEqual([]);
    expect(aimsUnder(SETS).filter((aim) => !isSet(aim))).toEqual([]);
    expect(aimsUnder(SETS).length).toBeGreaterThan(0);
    const [claim] = page()
      .split('\n')
      .filter((line) => line.includes('the same two local transactions'));
    for (const { title } of recorded().entrants.filter(({ title }) => isSet(title)))
      expect(claim).toMatch(new RegExp(`all but .*\`${title}\`.* have the same two local transactions`));
  });

  it('tells a round from several, and who has shorter stacks', () => {
    const of = (rounds: number): string => filesOf({ ...recorded(), rounds })['docs/performance.md'] ?? '';
    expect(of(1)).toContain('One round, one block of each');
    expect(of(1)).not.toMatch(/medians|brackets/);
    expect(of(3)).toContain('3 rounds: medians, in brackets least and most.');
    expect(page()).toMatch(/--stack-trace-limit=1`.* Without it: .*`direct pg`.*`DBOS`.*`Restate`/);
  });
});
