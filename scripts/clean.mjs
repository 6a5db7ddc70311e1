/** Removes what the build and the checks write. */
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
for (const folder of ['dist', '.ci/out']) rmSync(join(root, folder), { recursive: true, force: true });
