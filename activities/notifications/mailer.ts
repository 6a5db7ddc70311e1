/** Sends mail through an SMTP server, and tells a message that will never be taken from one that was not taken yet. */
import { createTransport } from 'nodemailer';
import { circuit } from 'temporal-txn/participant';
import type { Circuit } from 'temporal-txn/participant';

export interface Mail {
  /** The Message-ID header, by which mail systems recognise a message that they already have. */
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

export interface Mailer {
  /**
   * Resolves when the mail server has taken the message.
   *
   * @throws {MailRejected} when it never will
   * @throws {MailDeferred} when it may yet, or has done so and nobody knows
   * @throws {CircuitOpen} when the mail server is known to be away: it was not asked
   */
  send(mail: Mail): Promise<void>;
}

/** The mail server has refused this message for good: an answer of 500 and more to its addresses or its text. */
export class MailRejected extends Error {
  override readonly name = 'MailRejected';

  constructor(readonly status: number) {
    super(`The mail server refused the message with status ${status}.`);
  }
}

/** The mail server is away, is busy, or does not let us in. */
export class MailDeferred extends Error {
  override readonly name = 'MailDeferred';

  constructor(
    code: string,
    cause: unknown,
    /** It has nothing against other messages: a mailbox is full. */
    readonly onlyThisOne: boolean,
  ) {
    // The cause stays here: mail servers quote addresses, and what leaves the service is kept in the workflow's history.
    super(`The mail server did not take the message (${code}). It is tried again.`, { cause });
  }
}

/** While the mail server is away nobody waits for it: the branch is asked again when it may be back. */
export const mailServerCircuit = (): Circuit =>
  circuit('mail-server', {
    trip: { consecutive: 3 },
    halfOpenAfterMs: 1_000,
    longestOpenMs: 10_000,
    // A message that it refuses, or a full mailbox, says that it is there.
    isFailure: (error) => error instanceof MailDeferred && !error.onlyThisOne,
  });

/**
 * A mailer for an SMTP server.
 *
 * @param url such as `smtp://127.0.0.1:1025` or `smtps://user:password@mail.example.com`
 * @param server the circuit before it, which operators may isolate
 */
export function smtpMailer(url: string, server: Circuit = mailServerCircuit()): Mailer {
  // Short, because a branch's local transaction waits for the mail server, and PostgreSQL ends one that idles for 8 s.
  const timeouts = { dnsTimeout: 2_000, connectionTimeout: 2_000, greetingTimeout: 2_000, socketTimeout: 3_000 };
  // Files and addresses in a message are not for the shop's customers to name.
  const transport = createTransport({ url, ...timeouts, disableFileAccess: true, disableUrlAccess: true });
  return {
    send: ({ id, ...message }) =>
      server.run(async () => {
        try {
          await transport.sendMail({ messageId: id, ...message });
        } catch (error) {
          throw explain(error);
        }
      }),
  };
}

// nodemailer's codes for a refused address and a refused text. A refused login has a status of 535, and is no fault of the message.
const ABOUT_THE_MESSAGE = ['EENVELOPE', 'EMESSAGE'];

function explain(error: unknown): Error {
  // Cast: nodemailer's errors have these fields, any other error has neither.
  const { code = 'unknown error', responseCode = 0 } = error as { code?: string; responseCode?: number };
  if (ABOUT_THE_MESSAGE.includes(code) && responseCode >= 500) return new MailRejected(responseCode);
  return new MailDeferred(responseCode > 0 ? `${code} ${responseCode}` : code, error, ABOUT_THE_MESSAGE.includes(code));
}
