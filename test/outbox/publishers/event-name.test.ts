import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { eventName } from '../../../src/outbox/publishers/event-name';
import { ODD } from '../events';

const texts = [...ODD, 'event', 'sha256', '%2E', '/', 'a', ''];

describe('the name of an event', () => {
  it('is readable for what is usual', () => {
    expect(eventName({ source: '/orders', id: '5f0c1a52-6c1e' })).toBe('event:/orders:5f0c1a52-6c1e');
  });

  it('is another one for every other source or id', () => {
    const names = texts.flatMap((source) => texts.map((id) => eventName({ source, id })));
    expect(new Set(names).size).toBe(texts.length ** 2);
    const part = fc.string({ unit: fc.constantFrom('a', ':', '%', '3', 'A', '/', '#', ' '), maxLength: 5 });
    fc.assert(
      fc.property(part, part, part, part, (source, id, otherSource, otherId) => {
        const same = source === otherSource && id === otherId;
        expect(eventName({ source, id }) === eventName({ source: otherSource, id: otherId })).toBe(same);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is short, and made of what headers and signatures can hold', () => {
    for (const source of texts)
      for (const id of texts) expect(eventName({ source, id })).toMatch(/^event[:#][A-Za-z0-9_/:%-]{1,250}$/);
  });
});
