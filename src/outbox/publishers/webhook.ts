/**
 * Publishes to an HTTP endpoint, signed so that it can tell us from others and a repetition from something new.
 *
 * @see Standard Webhooks, specification 1.0: webhook-id, webhook-timestamp, webhook-signature
 * @see CloudEvents: HTTP protocol binding 1.0.2, structured content mode
 */
import { createHmac } from 'node:crypto';

import { isLoopback, show } from '../../protocol';
import { CLOUD_EVENT_TYPE, toCloudEvent } from '../cloud-event';
import { UnpublishableEventError } from '../errors';
import type { Publisher } from '../publisher';
import { eventName } from './event-name';
import { headersOf } from './headers';

export interface WebhookOptions {
  /** Where to. Plain http is taken for this machine itself only. */
  readonly url: string | URL;
  /**
   * The key of the signature: `whsec_` and 24 to 64 bytes in base64. Several while one is being replaced: each signs, and the
   * receiver takes any that it knows.
   */
  readonly secret: string | readonly string[];
  /** Sent with each request: an API key, for one. Those that this publisher sets itself cannot be overridden. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Takes plain http to another machine, where everybody on the way can read the events. @default false */
  readonly allowPlainHttp?: boolean;
}

/** What headers of events may not touch: the signature, the body, the connection, and who we are. */
const RULES = {
  reserved:
    /^(webhook-|content-|proxy-|host$|connection$|keep-alive$|transfer-encoding$|te$|trailer$|upgrade$|expect$|authorization$|cookie$)/,
  sendable: /^[\x20-\x7e]*$/,
};

/** By these the receiver says that the request is wrong by itself, or that nobody is there any more. */
const PERMANENT = new Set([400, 410, 413, 415, 422]);

/** As much of an answer as is read. */
const MOST_ANSWER_BYTES = 4_096;

/**
 * Posts each event to a URL. It counts as published at an answer of 2xx. At 400, 410, 413, 415 and 422 its key is parked; any other
 * answer, also a redirect, which is never followed, and none at all are tried again.
 *
 * The receiver gets `webhook-id`, the same for each attempt, to know a repetition by.
 *
 * @throws {TypeError} when url, secret or headers cannot be used
 * @example
 * const publisher = webhook({ url: 'https://partner.example/events', secret: process.env.WEBHOOK_SECRET });
 */
export function webhook(options: WebhookOptions): Publisher {
  const url = checkedUrl(options);
  const keys = [options.secret].flat().map(keyOf);
  if (keys.length === 0) throw new TypeError('Nothing was sent: secret has no key. Use at least one.');
  const own = checkedHeaders(options.headers);
  return {
    publish: async (event, signal) => {
      const body = JSON.stringify(toCloudEvent(event));
      const id = eventName(event);
      // The receiver refuses old ones, so each attempt says its own time.
      const timestamp = String(Math.floor(Date.now() / 1000));
      // Set one by one, the last word last: the same name in other letters would be joined to the first.
      const headers = new Headers(headersOf(event, RULES));
      for (const [name, value] of own) headers.set(name, value);
      headers.set('content-type', CLOUD_EVENT_TYPE);
      headers.set('webhook-id', id);
      headers.set('webhook-timestamp', timestamp);
      headers.set('webhook-signature', keys.map((key) => signature(key, `${id}.${timestamp}.${body}`)).join(' '));
      const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal });
      const answer = await readSome(response);
      if (response.ok) return;
      const why = `${url.host} answered ${response.status}${answer === '' ? '' : `: ${answer}`}`;
      if (PERMANENT.has(response.status)) throw new UnpublishableEventError(why);
      throw new Error(`It is not known to be published: ${why}`);
    },
  };
}

const signature = (key: Buffer, content: string): string =>
  `v1,${createHmac('sha256', key).update(content).digest('base64')}`;

function checkedUrl({ url: given, allowPlainHttp = false }: WebhookOptions): URL {
  if (!URL.canParse(String(given)))
    throw new TypeError('Nothing was sent: url is no URL. Use one such as https://host/path.');
  const url = new URL(given);
  if (url.username !== '' || url.password !== '')
    throw new TypeError('Nothing was sent: url has a user or a password in it. Use an authorization header.');
  if (url.protocol === 'https:') return url;
  if (url.protocol !== 'http:') throw new TypeError(`Nothing was sent: url is of ${url.protocol} Use https.`);
  if (allowPlainHttp || isLoopback(url.hostname)) return url;
  throw new TypeError(
    `Nothing was sent: url is plain http to ${url.host}, and the events could be read on the way. Use https, or allowPlainHttp.`,
  );
}

/** The message does not show the secret. */
function keyOf(secret: unknown): Buffer {
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(typeof secret === 'string' ? secret : '') ?? [];
  const key = Buffer.from(base64 ?? '', 'base64');
  if (key.length >= 24 && key.length <= 64) return key;
  throw new TypeError('Nothing was sent: secret is no key. Use whsec_ and 24 to 64 random bytes in base64.');
}

/** The message does not show what is in them. That of fetch would, each time, and it is kept with the event. */
function checkedHeaders(given: Readonly<Record<string, string>> = {}): readonly (readonly [string, string])[] {
  const headers = Object.entries(given);
  const refused = headers.find(([name, value]) => !isSendable(name, value));
  if (refused === undefined) return headers;
  throw new TypeError(
    `Nothing was sent: the header ${show(refused[0])} cannot be sent. Use a name and a text in one line that HTTP takes.`,
  );
}

function isSendable(name: string, value: unknown): boolean {
  try {
    return typeof value === 'string' && new Headers([[name, value]]).has(name);
  } catch {
    return false;
  }
}

/** The beginning of the answer, as one printable line. A short one is read to its end, so that its connection is used again. */
async function readSome(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (!reader) return '';
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    while (bytes < MOST_ANSWER_BYTES) {
      const { done, value } = (await reader.read()) as { done: boolean; value?: Uint8Array };
      if (done || !value) break;
      parts.push(value);
      bytes += value.length;
    }
    await reader.cancel();
  } catch (error) {
    // The answer is the status. If only its text was cut off, that is no reason to publish again.
    if (!response.ok) throw error;
  }
  const text = Buffer.concat(parts).toString('utf8').slice(0, 200);
  return text.replace(/[^\x20-\x7e]+/g, ' ').trim();
}
