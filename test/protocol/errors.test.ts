/** How a value that someone sent appears in an error. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { show } from '../../src/protocol';

describe('show', () => {
  it.each<[unknown, string]>([
    ['plain', '"plain"'],
    ['', '""'],
    ['a "quote" \\', '"a \\"quote\\" \\\\"'],
    ['line\nfeed', '"line\\nfeed"'],
    ['\u001b[31mred', '"\\u001b[31mred"'],
    ['\u202egnp.exe', '"\\u202egnp.exe"'],
    ['é', '"\\u00e9"'],
    ['\u007f', '"\\u007f"'],
    ['😂', '"\\ud83d\\ude02"'],
    [1, '1'],
    [NaN, 'NaN'],
    [1n, '1n'],
    [true, 'true'],
    [null, 'null'],
    [undefined, 'undefined'],
    [{ secret: 1 }, 'of type object'],
    [['secret'], 'of type array'],
    [() => 'secret', 'of type function'],
    [Symbol('secret'), 'of type symbol'],
  ])('writes %o as %s', (value, text) => {
    expect(show(value)).toBe(text);
  });

  it('shortens what is long, and says how long it was', () => {
    const shown = show('x'.repeat(1_000_000));
    expect(shown).toMatch(/^"x{79}\.\.\. \(1000002 characters\)$/);
    expect(shown.length).toBeLessThan(120);
  });

  it('is one short line without control characters, whatever it is given', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.anything()), (value) => {
        expect(show(value)).toMatch(/^[\x20-\x7e]{0,120}$/);
      }),
      { numRuns: 500 },
    );
  });
});
