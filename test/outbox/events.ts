/** Events as a relay hands them to a publisher. */
import type { OutboxEvent } from '../../src/outbox/event';

let made = 0;

/** An event that is like no other, but for what is given. */
export function anEvent(given: Partial<OutboxEvent> = {}): OutboxEvent {
  const number = ++made;
  return {
    id: `0b9f6c7e-${String(number).padStart(4, '0')}-4000-8000-${String(process.pid).padStart(12, '0')}`,
    source: '/orders',
    type: 'OrderCreated',
    key: `order-${number}`,
    version: 1,
    data: { total: number },
    time: new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678)),
    ...given,
  };
}

/** A signal that nobody aborts. */
export const unhurried = (): AbortSignal => new AbortController().signal;

/** What is odd, and may still stand in an event. */
export const ODD = [
  ' ',
  '%',
  '%zz',
  '100%25',
  ':',
  'a:b',
  '1:2',
  '#',
  'a#b#c',
  '?q=[1]',
  '//',
  '\\',
  '"\'`<>{}|^',
  'a\r\nwebhook-id: b',
  '\t',
  '事件 🎉 \u202e',
  '.',
  'a.b',
  '$1 ${x} ?',
  'x'.repeat(200),
  '🎉'.repeat(100),
] as const;
