/** Where metrics cannot be served, said before anything begins. */
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { serveMetrics } from '../../src/worker';

/** In a process of its own: the one of a test may have a runtime of another test already. @returns what is thrown */
function thrownFor(address: string): unknown {
  const program = `try { require('./dist/src/worker').serveMetrics(process.argv[1]); console.log('{}'); }
    catch ({ name, address, message }) { console.log(JSON.stringify({ name, address, message })); }
    process.exit();`;
  return JSON.parse(execFileSync(process.execPath, ['-e', program, address], { encoding: 'utf8' }));
}

it('says that somebody else has the port, and what to do', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void other.close());
  const { port } = other.address() as AddressInfo; // Cast: it listens on TCP.
  expect(thrownFor(String(port))).toEqual({
    name: 'MetricsNotServed',
    address: `127.0.0.1:${port}`,
    message: expect.stringMatching(
      /^Nothing was started: metrics cannot be served at "127\.0\.0\.1:\d+": Address already in use.* a port of its own with TXN_METRICS_ADDRESS/,
    ),
  });
});

it('says that its address is none of this machine', () => {
  // A block for documentation (RFC 5737).
  expect(thrownFor('192.0.2.1:9464')).toMatchObject({ name: 'MetricsNotServed' });
});

it.each([
  '999.1.1.1:80',
  '1.2.3:9464',
  '[1::2::3]:9464',
  'localhost:9464',
  'http://127.0.0.1:9464',
  '0',
  '70000',
  'abc',
])('does not take %s for an address', (address) => {
  expect(() => serveMetrics(address)).toThrow(
    expect.objectContaining({ name: 'InvalidMetricsAddress', message: expect.stringContaining('0.0.0.0:9464') }),
  );
});
