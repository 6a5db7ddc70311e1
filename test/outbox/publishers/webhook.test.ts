/** Against a real HTTP server that checks with the official library of Standard Webhooks. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HTTP } from 'cloudevents';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { UnpublishableEventError } from '../../../src/outbox/errors';
import type { OutboxEvent } from '../../../src/outbox/event';
import { webhook } from '../../../src/outbox/publishers/webhook';
import type { WebhookOptions } from '../../../src/outbox/publishers/webhook';
import { anEvent, ODD, unhurried } from '../events';

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const nextSecret = `whsec_${Buffer.alloc(24, 8).toString('base64')}`;

interface Request {
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let server: Server;
let url: string;
let requests: Request[];
/** How the server answers. */
let answer: (response: ServerResponse) => void;

beforeEach(async () => {
  requests = [];
  answer = (response) => response.writeHead(204).end();
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      requests.push({ url: request.url, headers: request.headers, body: Buffer.concat(parts).toString('utf8') });
      answer(response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const publish = (event: OutboxEvent, options: Partial<WebhookOptions> = {}, signal = unhurried()): Promise<void> =>
  webhook({ url, secret, ...options }).publish(event, signal);

/** Throws unless the signature is right. */
const verified = ({ body, headers }: Request, key = secret): unknown =>
  new Webhook(key).verify(body, headers as Record<string, string>);

/** What became of an event when the server answered so. */
async function fateAt(status: number): Promise<'published' | 'parked' | 'tried again'> {
  answer = (response) => response.writeHead(status, { location: '/elsewhere' }).end(`about ${status}`);
  return publish(anEvent()).then(
    () => 'published',
    (error: unknown) => (error instanceof UnpublishableEventError ? 'parked' : 'tried again'),
  );
}

describe('the webhook publisher', () => {
  it('posts a CloudEvent that is signed as the official library expects', async () => {
    const event = anEvent({
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'a=b',
      data: { a: 'żółć 🎉' },
    });
    await publish(event);
    expect(requests).toHaveLength(1);
    const [request] = requests as [Request];
    expect(verified(request)).toMatchObject({ id: event.id, data: event.data });
    expect(HTTP.toEvent({ headers: request.headers, body: request.body })).toMatchObject({ id: event.id });
    expect(request.headers).toMatchObject({ traceparent: event.traceparent, tracestate: 'a=b' });
  });

  it('has a signature that no other body, id, time or key has', async () => {
    await publish(anEvent());
    const [request] = requests as [Request];
    const changed: [string, Request, string?][] = [
      ['body', { ...request, body: request.body.replace('OrderCreated', 'OrderCancelled') }],
      ['id', { ...request, headers: { ...request.headers, 'webhook-id': 'event:/orders:other' } }],
      [
        'time',
        { ...request, headers: { ...request.headers, 'webhook-timestamp': String(Math.floor(Date.now() / 1000) + 1) } },
      ],
      ['key', request, nextSecret],
    ];
    for (const [what, forged, key] of changed) expect(() => verified(forged, key), what).toThrow();
  });

  it('signs with both keys while one is being replaced', async () => {
    await publish(anEvent(), { secret: [nextSecret, secret] });
    const [request] = requests as [Request];
    for (const key of [secret, nextSecret]) expect(verified(request, key)).toBeTruthy();
  });

  it('has one id for all attempts of an event, and another one for every other event', async () => {
    const event = anEvent({ id: 'twice' });
    for (const each of [event, event, anEvent({ id: 'twice', source: '/payments' })]) await publish(each);
    const ids = requests.map(({ headers }) => headers['webhook-id']);
    expect(ids[0]).toBe('event:/orders:twice');
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  it('signs events with any id, source and key', async () => {
    for (const odd of ODD) await publish(anEvent({ id: odd, source: odd, key: odd, type: odd }));
    expect(requests).toHaveLength(ODD.length);
    for (const request of requests) expect(verified(request)).toBeTruthy();
  });

  it('counts 2xx as published, what the request is at fault for as hopeless, and tries again after anything else', async () => {
    const fates = new Map<string, number[]>();
    for (const status of [
      200, 201, 202, 204, 301, 302, 307, 308, 400, 401, 403, 404, 408, 409, 410, 413, 415, 422, 429, 500, 502, 503, 504,
    ]) {
      const fate = await fateAt(status);
      fates.set(fate, [...(fates.get(fate) ?? []), status]);
    }
    expect(Object.fromEntries(fates)).toEqual({
      published: [200, 201, 202, 204],
      'tried again': [301, 302, 307, 308, 401, 403, 404, 408, 409, 429, 500, 502, 503, 504],
      parked: [400, 410, 413, 415, 422],
    });
  });

  it('follows no redirect: the events would go where nobody configured', async () => {
    await fateAt(307);
    expect(requests.map((request) => request.url)).toEqual(['/events']);
  });

  it('says what the server answered, without what a terminal would obey and not for ever', async () => {
    answer = (response) => response.writeHead(422).end(`unknown \u001b[31m type\r\n${'x'.repeat(1_000_000)}`);
    const error: unknown = await publish(anEvent()).catch((e: unknown) => e);
    expect(String(error)).toMatch(/127\.0\.0\.1:\d+ answered 422: unknown {2}\[31m type x+\.$/);
    expect(String(error).length).toBeLessThan(400);
  });

  it('does not wait for the rest of an answer once there is a status', async () => {
    answer = (response) => void response.writeHead(200).write('x'.repeat(10_000));
    await publish(anEvent());
  });

  it('takes the status for the answer when the connection breaks behind it', async () => {
    const broken = (status: number) => (response: ServerResponse) => {
      response.writeHead(status, { 'content-length': '100' });
      response.write('a part', () => response.destroy());
    };
    answer = broken(200);
    await publish(anEvent());
    answer = broken(500);
    await expect(publish(anEvent())).rejects.not.toThrow(UnpublishableEventError);
    answer = (response) => void response.writeHead(200).write('a part');
    await publish(anEvent(), {}, AbortSignal.timeout(300));
  });

  it('gives up when the signal is aborted, before and while it waits', async () => {
    answer = () => undefined;
    const abort = new AbortController();
    const waiting = publish(anEvent(), {}, abort.signal);
    await expect.poll(() => requests.length).toBe(1);
    abort.abort(new Error('time is over'));
    await expect(waiting).rejects.toThrow('time is over');
    await expect(publish(anEvent(), {}, abort.signal)).rejects.toThrow('time is over');
    expect(requests).toHaveLength(1);
  });

  it('has not published what nobody answered', async () => {
    answer = (response) => response.destroy();
    await expect(publish(anEvent())).rejects.not.toThrow(UnpublishableEventError);
    server.closeAllConnections();
    server.close();
    await expect(publish(anEvent())).rejects.not.toThrow(UnpublishableEventError);
  });

  it('sends headers of the event, and none that would change who we are or what is signed', async () => {
    await publish(anEvent({ headers: { tenant: 'a', 'X-Api-Key': 'forged' } }), {
      headers: { authorization: 'Bearer x', 'webhook-id': 'mine', 'x-api-key': 'ours' },
    });
    expect(requests[0]?.headers).toMatchObject({ tenant: 'a', authorization: 'Bearer x', 'x-api-key': 'ours' });
    expect(verified(requests[0] as Request)).toBeTruthy();
    for (const [name, value] of [
      ['Webhook-Id', 'x'],
      ['AUTHORIZATION', 'x'],
      ['Host', 'x'],
      ['content-length', '1'],
      ['Transfer-Encoding', 'chunked'],
      ['cookie', 'x'],
      ['a', 'x\r\nhost: b'],
      ['a', 'ü'],
      ['a b', 'x'],
    ] as const)
      await expect(publish(anEvent({ headers: { [name]: value } })), name).rejects.toThrow(UnpublishableEventError);
    expect(requests).toHaveLength(1);
  });

  it.each([
    'http://partner.example/events',
    'http://10.0.0.1/',
    'http://127.0.0.1.example/',
    'http://localhost.example/',
    'ftp://partner.example/',
    'https://user:word@partner.example/',
    'partner.example/events',
    '',
  ])('refuses the url %j', (refused) => {
    expect(() => webhook({ url: refused, secret })).toThrow(/^Nothing was sent: url/);
  });

  it('takes https, plain http on this machine, and elsewhere only if told so', () => {
    for (const taken of ['https://partner.example/x', 'http://localhost:1/', 'http://127.0.0.9/', 'http://[::1]:1/'])
      expect(() => webhook({ url: taken, secret })).not.toThrow();
    expect(() => webhook({ url: 'http://partner.example/', secret, allowPlainHttp: true })).not.toThrow();
  });

  it.each([
    '',
    'whsec_',
    'whsec_c2hvcnQ=',
    Buffer.alloc(32, 9).toString('base64'),
    `whsec_${Buffer.alloc(65).toString('base64')}`,
    'whsec_!!',
  ])('refuses the secret %j without repeating it', (refused) => {
    const error = (() => {
      try {
        return webhook({ url, secret: refused });
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(String(error)).toMatch(/^TypeError: Nothing was sent: secret is no key/);
    if (refused.length > 6) expect(String(error)).not.toContain(refused);
  });

  it.each<[string, string, unknown]>([
    ['authorization', 'two lines', 'Bearer new-api-key-4711\nold-api-key-0815'],
    ['authorization', 'letters that HTTP does not take', 'Bearer api-key-4711-\u20ac'],
    ['authorization', 'nothing', undefined],
    ['x api key', 'a name that is none', 'api-key-4711'],
  ])('refuses the header %j of %s without repeating it', (name, _, value) => {
    const headers = { [name]: value } as Record<string, string>; // Cast: as from an environment that nobody has checked.
    expect(() => webhook({ url, secret, headers })).toThrow(
      new TypeError(
        `Nothing was sent: the header "${name}" cannot be sent. Use a name and a text in one line that HTTP takes.`,
      ),
    );
  });

  it('refuses to sign with no key at all', () => {
    expect(() => webhook({ url, secret: [] })).toThrow(/^Nothing was sent/);
  });
});
