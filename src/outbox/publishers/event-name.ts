/**
 * One name for one event, for brokers and servers that know a repetition by it. Made of source and id, because ids are unique in
 * an outbox only: two services that both write `order-1-created` to one stream must not lose one of them.
 */
import { createHash } from 'node:crypto';

import type { OutboxEvent } from '../event';
import { percentEncode } from '../percent';

/** Well under the shortest limit that there is for one: 1,000 bytes of Temporal's workflow ids. */
const LONGEST = 255;

/**
 * The name: A-Z a-z 0-9 - _ / : % # only, so that it is a valid header, and without a full stop, which separates the parts of a
 * webhook's signature. Different events have different names; long ones are replaced by their SHA-256.
 *
 * @example 'event:/orders:5f0c1a52-6c1e-4a39-9d0e-6f7f1f6f6d7c'
 */
export function eventName({ source, id }: Pick<OutboxEvent, 'source' | 'id'>): string {
  const readable = `event:${escaped(source)}:${escaped(id)}`;
  if (readable.length <= LONGEST) return readable;
  // A readable name has no #.
  return `event#${createHash('sha256')
    .update(JSON.stringify([source, id]))
    .digest('hex')}`;
}

const escaped = (text: string): string => percentEncode(text, /[^A-Za-z0-9_/-]/gu);
