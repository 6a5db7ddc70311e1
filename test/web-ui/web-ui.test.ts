/**
 * Transactions as people see them in the real Web UI, and settle them there, in a browser without a window. These tests take the
 * pictures of the docs.
 */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TransactionCompensated } from '../../src/client';
import { runCommand } from '../cli/fixture';
import { until, useShop } from '../end-to-end/fixture';
import { isTurnOf } from '../depth';
import { findBrowser, launch } from './browser';
import { Pictures } from './pictures';
import { IDS, playScenes } from './scenes';
import { WebUi } from './web-ui';

const executable = findBrowser();
/** The page is a large program, and its server is not alone here. */
const PATIENCE_MS = 60_000;

const isDue = isTurnOf('what users see', 'Web UI');
describe.skipIf(executable === undefined || !isDue)('in the Web UI', { timeout: 2 * PATIENCE_MS }, () => {
  const shop = useShop({
    open: ['north-bank', 'south-bank', 'audit', 'inventory', 'payments', 'shipping', 'orders'],
  });
  let browser: Browser;
  let ui: WebUi;
  let pictures: Pictures;
  /** The links that `temporal-txn setup` prints. */
  let views: readonly { readonly name: string; readonly url: string }[];
  const view = (wanted: string): string => views.find(({ name }) => name === wanted)?.url ?? '';

  beforeAll(async () => {
    browser = await launch(executable as string); // Cast: skipped without one.
    // What moves is painted anew all the time.
    const page = await browser.newPage({ locale: 'en-GB', timezoneId: 'UTC', reducedMotion: 'reduce' });
    page.setDefaultTimeout(PATIENCE_MS);
    ui = new WebUi(page);
    pictures = new Pictures(shop().stack.directory);
    await playScenes(shop());
    const { address, uiUrl = '' } = shop().stack.temporal;
    const { stdout } = await runCommand(['setup', '--web-ui', uiUrl, '-o', 'json'], { TEMPORAL_ADDRESS: address });
    views = (JSON.parse(stdout) as { views: typeof views }).views;
  });
  afterAll(() => browser?.close());

  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    const directory = resolve(__dirname, '../../.ci/out');
    mkdirSync(directory, { recursive: true });
    await ui.page.screenshot({ path: join(directory, 'web-ui-failed.png') });
  });

  it('the links that setup prints list transactions by what became of them', async () => {
    for (const [status, count] of [['compensated', 3] as const, ['held', 1] as const])
      await until(`visibility has all that are ${status}`, async () => {
        const found: string[] = [];
        for await (const { id } of shop().transactions.list({ status })) found.push(id);
        return found.length === count;
      });
    expect(await ui.list(view('held'))).toEqual([expect.arrayContaining(['Running', IDS.held, 'transferMoney'])]);
    await ui.list(view('compensated'));
    await ui.configureColumns(['Run ID', 'Start', 'End'], ['TxnStatus', 'TxnFailedStep']);
    expect((await ui.listed()).sort()).toEqual([
      ['Failed', IDS.undeliverable, 'processOrder', 'compensated', 'shipping.createShipment'],
      ['Failed', IDS.declined, 'checkout', 'compensated', 'payments.charge'],
      ['Failed', IDS.refused, 'transferMoney', 'compensated', 'south-bank.credit'],
    ]);
    await pictures.take('compensated', ui.partsOfList(), 14);
  });

  describe('the page of', () => {
    beforeAll(() => ui.list(view('last hour')));

    it('a saga names each step and compensation, and where it was', async () => {
      await ui.open(IDS.undeliverable, 'Timeline');
      expect(await ui.timeline('create.compensate')).toEqual([
        'create • at orders',
        'reserve • at inventory',
        'charge • at payments',
        'createShipment • at shipping',
        'charge.compensate • at payments',
        'reserve.compensate • at inventory',
        'create.compensate • at orders',
      ]);
      await pictures.take('timeline', ui.partsOfTimeline(), 8);
    });

    it('a two-phase commit names its phases, and tells the votes and who followed the decision', async () => {
      await ui.open(IDS.atomic, 'Timeline');
      const names = await ui.timeline('record.commit');
      expect(names.slice(0, 3).sort()).toEqual([
        'credit.prepare • at south-bank',
        'debit.prepare • at north-bank',
        'record.prepare • at audit',
      ]);
      expect(names.slice(3, 7)).toEqual(['vote', 'vote', 'vote', 'debit.decide • at north-bank']);
      expect(names.slice(7).sort()).toEqual(['credit.commit • at south-bank', 'record.commit • at audit']);
      await pictures.take('two-phase-commit', ui.partsOfTimeline(), 8);

      await ui.turnTo('User Metadata');
      expect(await ui.table(`Two-phase commit ${IDS.atomic}: committed, decided: commit`)).toEqual([
        ['branch', 'vote', 'followed the decision'],
        ['north-bank.debit (primary)', 'commit', 'done'],
        ['south-bank.credit', 'commit', 'done'],
        ['audit.record', 'commit', 'done'],
      ]);
    });

    it('one that was aborted tells who objected', async () => {
      await ui.open(IDS.atomicRefused, 'User Metadata');
      expect(await ui.table(`Two-phase commit ${IDS.atomicRefused}: aborted, decided: abort`)).toContainEqual([
        'south-bank.credit',
        'abort: unknown-account: There is no account nobody',
        'done',
      ]);
      await pictures.take('two-phase-commit-details', ui.partsOfDetails(), 0);
    });

    it('a three-phase commit names its timers, which would otherwise be numbers, and tells where it stands', async () => {
      await ui.open(IDS.inThreePhases, 'Timeline');
      const names = await ui.timeline('pre-commit timeout');
      expect(names).toContain('ack timeout of south-bank.credit');
      expect(names.filter((name) => /^\d/.test(name))).toEqual([]);
      await ui.turnTo('User Metadata');
      expect(await ui.table(`Three-phase commit ${IDS.inThreePhases}: committed`)).toHaveLength(4);
    });

    it('a transaction that is held tells why, and a person settles it there', async () => {
      await ui.open(IDS.held, 'User Metadata');
      expect(await ui.table(`Saga ${IDS.held}: held`)).toEqual([
        ['step', 'outcome', 'compensation'],
        ['north-bank.debit', 'done', 'armed'],
        [
          'south-bank.credit',
          'done',
          'HELD: credit-spent: Account dave has already spent some of the 10.00 EUR to be taken back',
        ],
        ['audit.record', 'unknown: It was cancelled.', 'nothing to compensate: it never happened'],
      ]);
      await ui.details.getByText('The compensation of south-bank.credit waits for a person.').waitFor();
      await pictures.take('held', ui.partsOfDetails(), 0);

      const form = await ui.openUpdates();
      expect(await form.getByRole('option').allInnerTexts()).toEqual([
        expect.stringMatching(/^retryStep\s+Tries a held step or compensation again at once\./),
        expect.stringMatching(/^skipStep\s+Gives a held step up/),
        expect.stringMatching(/^resolve\s+Says that you have settled a held step by other means\./),
        'Custom',
      ]);
      await pictures.take('update', [form], 0);
      await ui.sendUpdate(form, 'resolve', { step: 'south-bank.credit', reason: 'Dave has paid in cash', by: 'ann' });
      await ui.page.getByText('Update successful').first().waitFor();
      await expect(shop().transactions.handle(IDS.held).result()).rejects.toThrow(TransactionCompensated);
      // It would look again by itself, within a quarter of a minute.
      await ui.page.reload();
      await ui.hasStatus('Failed');
      expect(await ui.table(`Saga ${IDS.held}: compensated`)).toContainEqual([
        'south-bank.credit',
        'done',
        'resolved by ann: Dave has paid in cash',
      ]);
    });
  });
});
