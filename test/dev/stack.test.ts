import { connect } from 'node:net';
import { Client, Connection } from '@temporalio/client';
import { createTransport } from 'nodemailer';
import { describe, expect, it, onTestFinished } from 'vitest';

import { MailServer, startStack } from '../../src/dev';
import type { Stack, StackOptions } from '../../src/dev';
import { DirectoryInUse } from '../../src/testing';
import { query, temporaryDirectory } from '../testing/fixture';

const databases = { accounts: 'a', audit: 'b' } as const;
type Service = keyof typeof databases;

async function start(directory: string, options: Partial<StackOptions<Service>> = {}): Promise<Stack<Service>> {
  const stack = await startStack({ directory, databases, durable: false, ...options });
  onTestFinished(() => stack.stop());
  return stack;
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('error', () => {
      resolve(false);
    });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

describe('the embedded stack', () => {
  it('is refused a second time in its directory, and a second start after it reuses everything', async () => {
    const directory = temporaryDirectory();
    const progress: string[] = [];
    const first = await start(directory, { mail: true, progress: (message) => progress.push(message) });
    await expect(start(directory)).rejects.toThrow(DirectoryInUse);
    const url = first.ownerUrl('accounts');
    await query(url, 'CREATE TABLE t AS SELECT 7 AS i');
    expect(new URL(url).port).toBe(String(first.postgres.a.port));
    expect(new URL(first.databaseUrl('audit')).port).toBe(String(first.postgres.b.port));
    expect(progress.join('\n')).toMatch(/Temporal is ready at 127\.0\.0\.1:\d+, its Web UI at http/);
    expect(progress.join('\n')).not.toContain(new URL(url).password);
    const connection = await Connection.connect({ address: first.temporal.address });
    await new Client({ connection }).workflow.start('anything', { workflowId: 'kept', taskQueue: 'nobody' });
    await connection.close();
    await Promise.all([first.stop(), first.stop()]);
    expect(await Promise.all([first.postgres.a.port, first.postgres.b.port].map(isOpen))).toEqual([false, false]);

    const second = await start(directory);
    expect(second.ownerUrl('accounts')).toBe(url);
    expect(second.databaseUrl('accounts')).toBe(first.databaseUrl('accounts'));
    expect(await query(url, 'SELECT i FROM t')).toEqual([{ i: 7 }]);
    expect(second.temporal.address).toBe(first.temporal.address);
    expect(second.temporal.uiUrl).toBe(first.temporal.uiUrl);
  });

  it('lives on with one database server while the other is dead', async () => {
    const stack = await start(temporaryDirectory());
    await stack.postgres.a.kill();
    await expect(query(stack.databaseUrl('accounts'), 'SELECT 1')).rejects.toThrow();
    expect(await query(stack.databaseUrl('audit'), 'SELECT 1 AS i')).toEqual([{ i: 1 }]);
    await stack.postgres.a.restart();
    expect(await query(stack.databaseUrl('accounts'), 'SELECT 1 AS i')).toEqual([{ i: 1 }]);
  });

  it('stops what it had started when a part of it fails, and can be started then', async () => {
    const directory = temporaryDirectory();
    const ports: number[] = [];
    const progress = (message: string): void =>
      void ports.push(...(/PostgreSQL . is ready at .*:(\d+)/.exec(message)?.slice(1).map(Number) ?? []));
    const wrong = { 'not a name': 'a' } as unknown as typeof databases;
    await expect(start(directory, { databases: wrong, progress })).rejects.toThrow(/cannot name a service's database/);
    expect(ports).toHaveLength(2);
    expect(await Promise.all(ports.map(isOpen))).toEqual([false, false]);
    await start(directory);
  });
});

describe('the mail server', () => {
  it('stores what arrives and shows it without running any of it', async () => {
    const mail = await MailServer.start();
    onTestFinished(() => mail.stop());
    const arrived: string[] = [];
    mail.on('message', ({ subject }) => arrived.push(subject));
    await createTransport(mail.smtpUrl).sendMail({
      from: 'bank@example.test',
      to: ['alice@example.test', 'bob@example.test'],
      subject: 'Überweisung <script>alert(1)</script>',
      text: '100 € are on their way & safe',
    });
    const expected = {
      from: 'bank@example.test',
      to: ['alice@example.test', 'bob@example.test'],
      subject: 'Überweisung <script>alert(1)</script>',
      text: '100 € are on their way & safe',
    };
    expect(mail.messages).toEqual([{ ...expected, receivedAt: expect.any(Date) as Date }]);
    expect(arrived).toEqual([expected.subject]);

    const page = await fetch(mail.url);
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'/);
    const html = await page.text();
    expect(html).toContain('Überweisung &lt;script&gt;');
    expect(html).not.toContain('<script>');
    expect(await (await fetch(`${mail.url}.json`)).json()).toMatchObject([expected]);
    expect((await fetch(mail.url, { method: 'DELETE' })).status).toBe(405);

    mail.clear();
    expect(mail.messages).toEqual([]);
    await mail.stop();
    await mail.stop();
  });
});
