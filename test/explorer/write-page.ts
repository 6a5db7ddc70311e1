/** Writes docs/what-breaks-without.md: `node dist/test/explorer/write-page.js`, after a build. */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { PAGE, writePage } from './page';

// From dist/test/explorer/ back to the package.
const root = resolve(__dirname, '../../..');
writeFileSync(resolve(root, PAGE), writePage());
console.log(`Wrote ${PAGE}.`);
