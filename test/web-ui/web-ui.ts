/**
 * Temporal's Web UI as a person meets it, by what can be read there: the list of workflows, the page of one with its tabs, and
 * the form that sends it an update. Everything is waited for, and nothing slept for.
 */
import type { FrameLocator, Locator, Page } from 'playwright-core';

export type Tab = 'Timeline' | 'User Metadata';
export type Status = 'Running' | 'Completed' | 'Failed';

const CURRENT_DETAILS = 'iframe#user-metadata-current-details';

export class WebUi {
  constructor(readonly page: Page) {}

  /** Opens a list, and says which workflows are in it, each with all that its columns hold. */
  async list(url: string): Promise<string[][]> {
    await this.page.setViewportSize({ width: 1280, height: 520 });
    await this.page.goto(url);
    return this.listed();
  }

  async listed(): Promise<string[][]> {
    const rows = this.page.getByRole('table', { name: 'Workflows' }).getByRole('row');
    await rows.nth(1).waitFor();
    const cells = (await rows.all()).slice(1).map((row) => row.getByRole('cell').allTextContents());
    // The first two are to select it, and to start another one like it.
    return (await Promise.all(cells)).map((texts) => texts.slice(2).map((text) => text.trim()));
  }

  /** Chooses other columns for the list. */
  async configureColumns(remove: readonly string[], add: readonly string[]): Promise<void> {
    await this.page.getByRole('button', { name: 'Configure Columns' }).click();
    for (const name of remove) await this.page.getByRole('button', { name: `Remove ${name} column` }).click();
    for (const name of add) await this.page.getByRole('button', { name: `Add ${name} column` }).click();
    await this.page.getByRole('button', { name: 'Close Workflows Table configuration' }).click();
    await this.page.getByRole('columnheader', { name: add.at(-1) ?? '' }).waitFor();
  }

  partsOfList(): Locator[] {
    return [
      this.page.getByRole('heading', { level: 1 }),
      this.page.getByRole('link', { name: 'Start Workflow' }),
      this.page.getByRole('navigation', { name: 'Workflows' }),
    ];
  }

  /** Opens the page of a workflow from the list, or from the page of another one in it: that loads nothing anew. */
  async open(workflowId: string, tab: Tab): Promise<void> {
    const back = this.page.getByRole('link', { name: 'Back to Workflows' });
    if (await back.isVisible()) await back.click();
    await this.page.getByRole('link', { name: workflowId, exact: true }).click();
    await this.page.getByRole('heading', { name: workflowId }).waitFor();
    await this.turnTo(tab);
  }

  async turnTo(tab: Tab): Promise<void> {
    // The details have half of the page.
    await this.page.setViewportSize({ width: tab === 'Timeline' ? 1280 : 1600, height: 1300 });
    await this.page.getByRole('tab', { name: tab }).click();
  }

  /** Waits until the page says so. */
  async hasStatus(status: Status): Promise<void> {
    await this.page.getByRole('status').filter({ hasText: status }).first().waitFor();
  }

  /** What a timeline names, in the order of time. Waits for one of them. */
  async timeline(awaited: string): Promise<string[]> {
    const events = this.page.getByRole('button', { name: /^Event / });
    await events.filter({ hasText: awaited }).first().waitFor();
    return (await events.allTextContents()).map((text) => text.trim());
  }

  partsOfTimeline(): Locator[] {
    return [
      this.page.getByRole('heading', { name: 'Timeline' }),
      this.page.getByRole('button', { name: 'Download' }),
      // A time along the axis, at the bottom.
      this.page.locator('.tick-label').first(),
    ];
  }

  /** What the workflow says of itself: a page in the page. */
  get details(): FrameLocator {
    return this.page.frameLocator(CURRENT_DETAILS);
  }

  partsOfDetails(): Locator[] {
    return [
      this.page.locator(CURRENT_DETAILS),
      this.page.getByRole('heading', { name: 'Current Details' }).locator('xpath=../..'),
    ];
  }

  /** The table of the details, row by row. Waits until they hold a text. */
  async table(awaited: string): Promise<string[][]> {
    await this.details.getByText(awaited).first().waitFor();
    const rows = await this.details.getByRole('row').all();
    const cells = rows.map((row) => row.locator('th, td').allTextContents());
    // Between two columns there is one that only keeps them apart.
    return (await Promise.all(cells)).map((row) =>
      row.filter((_, i) => i % 2 === 0).map((text) => text.replaceAll('\u00a0', ' ').trim()),
    );
  }

  /** Opens the form for updates, with the list of those that there are. */
  async openUpdates(): Promise<Locator> {
    await this.page.getByRole('button', { name: 'More Actions' }).click();
    await this.page.getByRole('menuitem', { name: 'Send an Update' }).click();
    const form = this.page.getByRole('dialog', { name: 'Send an Update' });
    await form.getByRole('button', { name: 'Select an Update' }).click();
    await form.getByRole('option', { name: 'Custom' }).waitFor();
    return form;
  }

  /** Chooses one, fills in its input and sends it. */
  async sendUpdate(form: Locator, name: string, input: unknown): Promise<void> {
    await form.getByRole('option', { name: new RegExp(`^${name}\\b`) }).click();
    // As the form writes it itself when it is left: the button would move away from under the click.
    await form.getByRole('textbox', { name: 'Data' }).fill(JSON.stringify(input, null, 2));
    await form.getByRole('button', { name: 'Submit' }).click();
    await form.waitFor({ state: 'hidden' });
  }
}
