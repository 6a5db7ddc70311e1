/**
 * Pictures of the Web UI. Every run takes them; they are kept in docs/images with `npm run pictures`, and otherwise in the directory
 * of the test, which is thrown away: the clock in them makes each one differ from the last.
 */
import { join, resolve } from 'node:path';
import type { Locator } from 'playwright-core';

const DOCS = resolve(__dirname, '../../docs/images');

export class Pictures {
  constructor(private readonly directory: string) {}

  /** Takes a picture of what holds all these, and of so much around it, in pixels. */
  async take(name: string, parts: readonly Locator[], around: number): Promise<void> {
    const page = parts[0]?.page();
    const boxes = await Promise.all(parts.map((part) => part.boundingBox()));
    const seen = boxes.filter((box) => box !== null);
    if (page === undefined || seen.length < parts.length)
      throw new Error(`No picture was taken: of what ${name} is to show, ${parts.length - seen.length} are not seen.`);
    const x = Math.min(...seen.map((box) => box.x)) - around;
    const y = Math.min(...seen.map((box) => box.y)) - around;
    const width = Math.max(...seen.map((box) => box.x + box.width)) + around - x;
    const height = Math.max(...seen.map((box) => box.y + box.height)) + around - y;
    const path = join(process.env['TXN_PICTURES'] === '1' ? DOCS : this.directory, `${name}.png`);
    await page.screenshot({ path, clip: { x, y, width, height }, animations: 'disabled' });
  }
}
