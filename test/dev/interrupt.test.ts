import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';

const INTERRUPT = resolve(__dirname, '../../dist/src/dev/interrupt.js');
const PROGRAM = `
const { untilInterrupted } = require(${JSON.stringify(INTERRUPT)});
untilInterrupted().then((signal) => console.log('stopping for ' + signal));
setInterval(() => {}, 1000);
console.log('ready');
`;

it('leaves the first Ctrl-C to the program and ends it at the second', async () => {
  const child = spawn(process.execPath, ['-e', PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const said = async (): Promise<string> => String((await once(child.stdout, 'data')).at(0));
  expect(await said()).toBe('ready\n');
  child.kill('SIGINT');
  expect(await said()).toBe('stopping for SIGINT\n');
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([130, null]);
});
