import { rename, writeFile } from 'node:fs/promises';

/** Writes a file whole or not at all: a crash in the middle leaves what was there. */
export async function writeAside(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}
