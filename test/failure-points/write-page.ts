/** Writes docs/failure-points.md: `npm run failures:page`. */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { PAGE, writePage } from './page';

async function main(): Promise<void> {
  // From dist/test/failure-points/ back to the package.
  const file = resolve(__dirname, '../../..', PAGE);
  writeFileSync(file, await format(writePage(), { ...(await resolveConfig(file)), parser: 'markdown' }));
  console.log(`Wrote ${PAGE}.`);
}

void main();
