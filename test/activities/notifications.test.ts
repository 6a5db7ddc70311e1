import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import PostalMime from 'postal-mime';
import type { Email } from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { armCrashpoints } from 'temporal-txn/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { MailDeferred, smtpMailer } from '../../activities/notifications/mailer';
import { defineNotifications } from '../../activities/notifications/operations';
import { refusal, useService } from './fixture';

const inbox: Email[] = [];
/** What the mail server answers to a message: 250 takes it. */
let answer = 250;

const server = new SMTPServer({
  authOptional: true,
  allowInsecureAuth: true,
  disabledCommands: ['STARTTLS'],
  disableReverseLookup: true,
  onAuth: (_auth, _session, done) => done(new Error('no such login')),
  onRcptTo({ address }, _session, done) {
    if (address.startsWith('busy'))
      return done(Object.assign(new Error(`<${address}> is full`), { responseCode: 452 }));
    done();
  },
  onData(stream, _session, done) {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      if (answer !== 250) return done(Object.assign(new Error('no'), { responseCode: answer }));
      void PostalMime.parse(Buffer.concat(chunks)).then((mail) => {
        inbox.push(mail);
        done();
      });
    });
  },
});

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
});
afterAll(() => new Promise<void>((closed) => server.close(closed)));
beforeEach(() => {
  inbox.length = 0;
  answer = 250;
});

const urlOf = (login = '') => `smtp://${login}127.0.0.1:${(server.server.address() as AddressInfo).port}`;

const service = useService('notifications', () =>
  defineNotifications({ mailer: smtpMailer(urlOf()), from: 'orders@shop.example' }),
);

const confirmation = (order: string, more: object = {}) =>
  service.branch('sendConfirmation', { order, to: 'ada@customer.example', trackingNumber: 'TT000000000001', ...more });

const rowsOf = (order: string) => service.rows('select kind, recipient from message where order_id = $1', [order]);

describe('a confirmation', () => {
  it('reaches the customer, and is not sent again for a repeated request', async () => {
    const branch = confirmation('ORDER-1');
    const first = await branch.execute();
    expect(await branch.execute()).toEqual({ ...(first as object), answer: 'applied-before' });
    expect(inbox).toHaveLength(1);
    expect(inbox[0]).toMatchObject({
      messageId: (first as { result: { message: string } }).result.message,
      from: { address: 'orders@shop.example' },
      to: [{ address: 'ada@customer.example' }],
      subject: 'Order ORDER-1 is confirmed',
      text: 'Thank you. Your order ORDER-1 is confirmed. Its tracking number is TT000000000001.\n',
    });
    expect(await rowsOf('ORDER-1')).toEqual([{ kind: 'confirmation', recipient: 'ada@customer.example' }]);
  });

  it('is sent once for concurrent requests', async () => {
    const branch = confirmation('ORDER-2');
    await Promise.all(Array.from({ length: 5 }, () => branch.execute()));
    expect(inbox).toHaveLength(1);
  });

  it('is sent again, under the same Message-ID, when the attempt is lost between the mail and the commit', async () => {
    onTestFinished(armCrashpoints([{ at: 'branch.before-commit', action: { kind: 'fail' } }]));
    const branch = confirmation('ORDER-3');
    await expect(branch.execute()).rejects.toThrow('crash point');
    expect(await rowsOf('ORDER-3')).toEqual([]);
    expect(await branch.execute()).toMatchObject({ answer: 'applied' });
    expect(inbox).toHaveLength(2);
    expect(inbox[0]!.messageId).toBe(inbox[1]!.messageId);
    expect(await rowsOf('ORDER-3')).toHaveLength(1);
  });

  it('is followed by a cancellation, a message of its own, when it is compensated', async () => {
    const branch = confirmation('ORDER-4');
    await branch.execute();
    expect(await branch.compensate()).toEqual({ answer: 'compensated' });
    expect(await branch.compensate()).toEqual({ answer: 'compensated-before' });
    expect(inbox.map(({ subject }) => subject)).toEqual(['Order ORDER-4 is confirmed', 'Order ORDER-4 is cancelled']);
    expect(inbox[0]!.messageId).not.toBe(inbox[1]!.messageId);
    expect((await rowsOf('ORDER-4')).map(({ kind }) => kind as string)).toEqual(['confirmation', 'cancellation']);
  });

  it('that never went out needs no cancellation', async () => {
    expect(await confirmation('ORDER-5').compensate()).toEqual({ answer: 'nothing-to-compensate' });
    expect(inbox).toEqual([]);
  });

  it('is refused when the mail server will never take it', async () => {
    answer = 550;
    await expect(confirmation('ORDER-6').execute()).rejects.toMatchObject(
      refusal('mail-rejected', {
        message: 'The mail server refused the confirmation of order ORDER-6 with status 550',
      }),
    );
    expect(await rowsOf('ORDER-6')).toEqual([]);
  });

  it('is tried again when the mail server has no time now', async () => {
    answer = 451;
    const branch = confirmation('ORDER-7');
    await expect(branch.execute()).rejects.toMatchObject({ type: 'OperationFailed', nonRetryable: false });
    answer = 250;
    expect(await branch.execute()).toMatchObject({ answer: 'applied' });
    expect(inbox).toHaveLength(1);
  });

  it('is tried again when a mailbox is full, and no address leaves the service', async () => {
    const failure: unknown = await confirmation('ORDER-10', { to: 'busy@customer.example' })
      .execute()
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({
      type: 'OperationFailed',
      nonRetryable: false,
      message: 'MailDeferred: The mail server did not take the message (EENVELOPE 452). It is tried again.',
    });
    expect(JSON.stringify(failure)).not.toContain('busy@');
  });

  it.each([
    ['no address', { to: 'ada' }, 'to: must be a mail address'],
    ['two addresses', { to: 'ada@a.example, bob@b.example' }, 'to: must be a mail address'],
    ['a header in the address', { to: 'ada@a.example\r\nBcc: bob@b.example' }, 'to: must be a mail address'],
    ['an odd order', { order: 'x\r\ny' }, 'order: must be 1 to 64 characters of A-Z 0-9 -'],
  ])('is refused with %s', async (_, change, message) => {
    await expect(confirmation('ORDER-8', change).execute()).rejects.toMatchObject(
      refusal('invalid-input', { message: expect.stringContaining(message) }),
    );
    expect(inbox).toEqual([]);
  });
});

describe('a cancellation', () => {
  it('reaches the customer', async () => {
    await service.branch('sendCancellation', { order: 'ORDER-9', to: 'ada@customer.example' }).execute();
    expect(inbox).toMatchObject([{ subject: 'Order ORDER-9 is cancelled' }]);
  });
});

describe('a service without a proper sender', () => {
  it('is not declared', () => {
    const mailer = smtpMailer('smtp://127.0.0.1:1');
    expect(() => defineNotifications({ mailer, from: 'Shop <orders@shop.example>' })).toThrow('must be a mail address');
  });
});

describe('a mail server that takes nothing', () => {
  const mail = { id: '<1@shop.example>', from: 'orders@shop.example', to: 'ada@a.example', subject: 's', text: 't' };

  it('because it is away, is waited for', async () => {
    await expect(smtpMailer('smtp://127.0.0.1:1').send(mail)).rejects.toThrow(MailDeferred);
  });

  it('because it is away, is not asked by everybody, and is when it may be back', async () => {
    const mailer = smtpMailer('smtp://127.0.0.1:1');
    for (let i = 0; i < 3; i++) await expect(mailer.send(mail)).rejects.toThrow(MailDeferred);
    await expect(mailer.send(mail)).rejects.toMatchObject({ name: 'CircuitOpen', circuit: 'mail-server' });
  });

  it('for one mailbox that is full, is asked by the others', async () => {
    const mailer = smtpMailer(urlOf());
    for (let i = 0; i < 5; i++)
      await expect(mailer.send({ ...mail, to: 'busy@customer.example' })).rejects.toThrow(MailDeferred);
    await mailer.send(mail);
    expect(inbox).toHaveLength(1);
  });

  it('because of our login, has nothing against the message', async () => {
    const failure = smtpMailer(urlOf('shop:secret@')).send(mail);
    await expect(failure).rejects.toThrow(MailDeferred);
    await expect(failure).rejects.not.toThrow('secret');
  });
});
