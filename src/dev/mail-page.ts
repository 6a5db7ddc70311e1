/**
 * The page of the mail server. Mail is written by strangers: everything in it is escaped, and a content security policy that allows
 * nothing but our style keeps what might slip through from running. Requests by another name than ours are refused, so that a web page
 * elsewhere cannot read the mail by pointing its own name at this machine. There is nothing here but reading.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

import type { MailMessage } from './mail';

const STYLE =
  'body{font:15px/1.5 system-ui;margin:2rem auto;max-width:50rem}article{border-top:1px solid #ccc}pre{white-space:pre-wrap}';
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

export function answer(request: IncomingMessage, response: ServerResponse, messages: readonly MailMessage[]): void {
  const send = (status: number, type: string, body: string): void => {
    response
      .writeHead(status, { ...HEADERS, 'content-type': `${type}; charset=utf-8` })
      .end(request.method === 'HEAD' ? '' : body);
  };
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(request.headers.host ?? '')) {
    send(403, 'text/plain', 'Open this page as http://127.0.0.1 with its port.');
  } else if (request.method !== 'GET' && request.method !== 'HEAD') {
    send(405, 'text/plain', 'This page can only be read.');
  } else if (request.url === '/messages.json') {
    send(200, 'application/json', JSON.stringify(messages));
  } else if (request.url === '/messages' || request.url === '/') {
    send(200, 'text/html', page(messages));
  } else {
    send(404, 'text/plain', 'There are /messages and /messages.json.');
  }
}

function page(messages: readonly MailMessage[]): string {
  const articles = [...messages]
    .reverse()
    .map(
      ({ from, to, subject, text, receivedAt }) =>
        `<article><h2>${escaped(subject)}</h2><p>${escaped(from)} → ${escaped(to.join(', '))}, ${receivedAt.toISOString()}</p>` +
        `<pre>${escaped(text)}</pre></article>`,
    );
  const title = `Mail (${messages.length})`;
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><style>${STYLE}</style><h1>${title}</h1>${articles.join('')}</html>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
