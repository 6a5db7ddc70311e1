/**
 * A mail server that accepts everything and delivers nothing: the embedded stack's services send their mail here, and a person or a
 * test looks at what arrived. It listens on the loopback interface only, keeps the newest messages in memory, and shows them on a page
 * that can only be read.
 */
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import type { SMTPServerDataStream, SMTPServerSession } from 'smtp-server';

import { answer } from './mail-page';

/** A message as it arrived. Sender and recipients are the envelope's: those to whom it would really have gone. */
export interface MailMessage {
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly receivedAt: Date;
}

export interface MailServerOptions {
  /** The SMTP port. Default: any free one. */
  readonly port?: number;
  /** The port of the page. Default: any free one. */
  readonly httpPort?: number;
}

const HOST = '127.0.0.1';
const MOST_MESSAGES = 1_000;
const MOST_BYTES = 10 * 1024 * 1024;
const CLOSE_TIMEOUT_MS = 1_000;

/** Emits 'message' with each MailMessage once it is stored. */
export class MailServer extends EventEmitter<{ message: [MailMessage] }> {
  readonly #messages: MailMessage[] = [];
  readonly #smtp: SMTPServer;
  readonly #http: Server;
  #stopped: Promise<void> | undefined;

  private constructor() {
    super();
    this.#smtp = new SMTPServer({
      authOptional: true,
      disabledCommands: ['AUTH', 'STARTTLS'],
      // Looking up the name of 127.0.0.1 can hang for seconds where there is no DNS.
      disableReverseLookup: true,
      size: MOST_BYTES,
      closeTimeout: CLOSE_TIMEOUT_MS,
      onData: (stream, session, done) => {
        this.#receive(stream, session).then(() => {
          done();
        }, done);
      },
    });
    // A client that hangs up in the middle is its own problem, not an uncaught error of ours.
    this.#smtp.on('error', () => undefined);
    this.#http = createServer((request, response) => {
      answer(request, response, this.messages);
    });
  }

  static async start(options: MailServerOptions = {}): Promise<MailServer> {
    const mail = new MailServer();
    try {
      await Promise.all([
        listening(mail.#smtp.server, () => mail.#smtp.listen(options.port ?? 0, HOST)),
        listening(mail.#http, () => mail.#http.listen(options.httpPort ?? 0, HOST)),
      ]);
      return mail;
    } catch (error) {
      await mail.stop();
      throw error;
    }
  }

  /** What a mail client is configured with. */
  get smtpUrl(): string {
    return `smtp://${HOST}:${(this.#smtp.server.address() as AddressInfo).port}`;
  }

  /** The page that shows what arrived; `/messages.json` has the same for programs. */
  get url(): string {
    return `http://${HOST}:${(this.#http.address() as AddressInfo).port}/messages`;
  }

  /** What arrived, oldest first; of more than 1,000 the newest. */
  get messages(): readonly MailMessage[] {
    return [...this.#messages];
  }

  clear(): void {
    this.#messages.length = 0;
  }

  /** Closes both servers. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#close();
    return this.#stopped;
  }

  async #close(): Promise<void> {
    this.#http.closeAllConnections();
    const http = this.#http.listening ? once(this.#http.close(), 'close') : undefined;
    const smtp = this.#smtp.server.listening
      ? new Promise<void>((resolve) => {
          this.#smtp.close(resolve);
        })
      : undefined;
    await Promise.all([http, smtp]);
  }

  async #receive(stream: SMTPServerDataStream, { envelope }: SMTPServerSession): Promise<void> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes <= MOST_BYTES) chunks.push(chunk);
    }
    if (bytes > MOST_BYTES)
      throw Object.assign(new Error(`Message exceeds ${MOST_BYTES} bytes`), { responseCode: 552 });
    const { subject, text } = await PostalMime.parse(Buffer.concat(chunks));
    const message: MailMessage = {
      from: envelope.mailFrom ? envelope.mailFrom.address : '',
      to: envelope.rcptTo.map(({ address }) => address),
      subject: subject ?? '',
      text: (text ?? '').trimEnd(),
      receivedAt: new Date(),
    };
    this.#messages.push(message);
    if (this.#messages.length > MOST_MESSAGES) this.#messages.shift();
    this.emit('message', message);
  }
}

/** Resolves once the server listens, and rejects when it cannot. */
async function listening(server: EventEmitter, listen: () => void): Promise<void> {
  const ready = once(server, 'listening');
  listen();
  await ready;
}
