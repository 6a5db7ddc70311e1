/** Calls the scripts as people and programs do: as processes of their own, from what was built. */
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';

const dist = resolve(__dirname, '../../dist/clients');

export type Script = 'transfer' | 'order' | 'checkout' | 'trip' | 'approve';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

export interface Called {
  readonly ended: Promise<Ended>;
  /** What it has printed until now. */
  readonly stdout: () => string;
}

/** Nothing of our own environment reaches it but what it needs to start. */
export function start(script: Script, args: readonly string[], environment: Record<string, string>): Called {
  let stdout = '';
  const ended = new Promise<Ended>((settle, reject) => {
    const began = Date.now();
    const child = spawn(process.execPath, [join(dist, `${script}.js`), ...args], {
      env: { PATH: process.env['PATH'], ...environment },
      timeout: 60_000,
    });
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code) => settle({ code, stdout, stderr, seconds: (Date.now() - began) / 1000 }));
  });
  return { ended, stdout: () => stdout };
}

/** The one JSON value that a script prints. */
export const json = ({ stdout }: Ended): Record<string, unknown> => JSON.parse(stdout) as Record<string, unknown>;
