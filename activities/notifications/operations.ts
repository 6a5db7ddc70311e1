/**
 * Tells customers by mail. A mail is no row in a database: it cannot be rolled back, and nobody can say whether the one whose
 * confirmation got lost went out. So a mail goes out at least once, and every attempt at it carries the same Message-ID, by
 * which the receiver's side can drop the others.
 */
import { createHash } from 'node:crypto';
import { defineParticipant, operation, refuse } from 'temporal-txn/participant';
import type { Tx } from 'temporal-txn/participant';
import { z } from 'zod';
import { matching, OrderId } from '../values';
import { MailRejected } from './mailer';
import type { Mail, Mailer } from './mailer';

const MailAddress = z
  .email({ error: 'must be a mail address' })
  .max(254, { error: 'must have at most 254 characters' });

export const ConfirmationInput = z.strictObject({
  order: OrderId,
  to: MailAddress,
  trackingNumber: matching(/^[A-Z0-9-]{1,40}$/, 'must be 1 to 40 characters of A-Z 0-9 -').optional(),
});
export type ConfirmationInput = z.infer<typeof ConfirmationInput>;

export const CancellationInput = z.strictObject({ order: OrderId, to: MailAddress });
export type CancellationInput = z.infer<typeof CancellationInput>;

export interface NotificationsOptions {
  readonly mailer: Mailer;
  /** The shop's address, without a name: `orders@shop.example`. */
  readonly from: string;
}

/**
 * The service, for a mail server. Workflows take its type: `participant<Notifications>('notifications')`.
 *
 * @throws {z.ZodError} when `from` is not an address
 */
export function defineNotifications({ mailer, from }: NotificationsOptions) {
  MailAddress.parse(from);
  const send = (tx: Tx, kind: Kind, { order, to, trackingNumber }: ConfirmationInput): Promise<{ message: string }> =>
    sendOnce(tx, kind, order, mailer, { from, to, ...textOf(kind, order, trackingNumber) });

  return defineParticipant('notifications', {
    /**
     * Tells that an order is confirmed. Best as the last, retriable step: it is then repeated until it is on record. As a
     * step that a saga gives up, it can have gone out in an attempt that left no record, and is not taken back.
     */
    sendConfirmation: operation({
      input: ConfirmationInput,
      execute: (tx, input) => send(tx, 'confirmation', input),
      // What was read cannot be unread: the customer is told otherwise.
      async compensate(tx, input) {
        await send(tx, 'cancellation', input);
      },
    }),

    /** Tells that an order is cancelled. */
    sendCancellation: operation({
      input: CancellationInput,
      execute: (tx, input) => send(tx, 'cancellation', input),
    }),
  });
}
export type Notifications = ReturnType<typeof defineNotifications>;

type Kind = 'confirmation' | 'cancellation';

/**
 * The row first, then the mail, then the commit. Two attempts wait for each other at the branch's key, and the second finds
 * what the first has committed; only an attempt that is lost between the mail and the commit has its mail sent again. The
 * other order, commit first, could lose a mail, and nobody would know.
 */
async function sendOnce(
  tx: Tx,
  kind: Kind,
  order: string,
  mailer: Mailer,
  mail: Omit<Mail, 'id'>,
): Promise<{ message: string }> {
  const id = messageId(tx, kind, mail.from);
  await tx.query(
    'insert into message (id, kind, order_id, recipient, transaction_id, branch_id) values ($1, $2, $3, $4, $5, $6)',
    [id, kind, order, mail.to, tx.transaction, tx.branch],
  );
  try {
    await mailer.send({ id, ...mail });
  } catch (error) {
    if (!(error instanceof MailRejected)) throw error;
    refuse('mail-rejected', `The mail server refused the ${kind} of order ${order} with status ${error.status}`);
  }
  return { message: id };
}

/** The same for every attempt, and hashed: a transaction id may hold what a header may not. */
function messageId({ transaction, branch }: Tx, kind: Kind, from: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([transaction, branch, kind]))
    .digest('hex')
    .slice(0, 32);
  return `<${hash}@${from.slice(from.indexOf('@') + 1)}>`;
}

function textOf(kind: Kind, order: string, trackingNumber?: string): { subject: string; text: string } {
  const tracking = trackingNumber === undefined ? '' : ` Its tracking number is ${trackingNumber}.`;
  switch (kind) {
    case 'confirmation':
      return {
        subject: `Order ${order} is confirmed`,
        text: `Thank you. Your order ${order} is confirmed.${tracking}\n`,
      };
    case 'cancellation':
      return {
        subject: `Order ${order} is cancelled`,
        text: `Your order ${order} was cancelled. You pay nothing for it.\n`,
      };
  }
}
