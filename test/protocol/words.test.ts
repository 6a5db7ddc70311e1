/** Identifiers: what may be one, and what is said of the others. */
import { describe, expect, it } from 'vitest';
import {
  idOfAttempt,
  parseBranchId,
  parseNewTransactionId,
  parseOperationName,
  parseParticipantName,
  parseTransactionId,
  readAttempt,
} from '../../src/protocol';

/** What no identifier may be, of whatever kind. */
const NEVER = [
  '',
  ' ',
  ' a',
  'a ',
  'a\n',
  '\na',
  'a\u0000',
  'a\tb',
  'ä',
  'a\u202eb',
  'a\u200b',
  '\ud800',
  '＋',
  'a;b',
  "a'b",
  'a"b',
  'a\\b',
  'a%b',
  'a*',
  '-a',
  '.a',
  '_a',
  '/a',
  undefined,
  null,
  1,
  1n,
  true,
  {},
  [],
  ['a'],
  new String('a'),
  { toString: () => 'a' },
];

describe('a further attempt', () => {
  it.each([
    ['transfer-4711', 'transfer-4711', 1],
    ['transfer-4711+2', 'transfer-4711', 2],
    ['transfer-4711/1/1+12', 'transfer-4711/1/1', 12],
    ['a+2b', 'a+2b', 1],
  ])('is read from its id: %s', (id, of, attempt) => {
    expect(readAttempt(id)).toEqual({ of, attempt });
    expect(idOfAttempt(of, attempt)).toBe(id);
  });
});

describe.each([
  [
    'transaction id',
    parseTransactionId,
    ['a', '0', 'transfer-4711', 'A.b_c:d@e/f=g+h-i', 'x'.repeat(255)],
    ['x'.repeat(256), '=a'],
  ],
  [
    'transaction id',
    parseNewTransactionId,
    ['a', 'a+b', 'a+2b', '+'.padStart(250, 'x'), 'x'.repeat(250)],
    ['x'.repeat(251), 'a+2', 'a+2+3', '=a'],
  ],
  [
    'branch id',
    parseBranchId,
    ['a', '9', 'debit:1', 'A.b_c-d', 'x'.repeat(160)],
    ['x'.repeat(161), 'a/b', 'a@b', 'a+b', 'a=b'],
  ],
  [
    'participant name',
    parseParticipantName,
    ['a', 'accounts', 'a-1-', 'x'.repeat(63)],
    ['x'.repeat(64), 'Accounts', '1a', 'a_b', 'a.b'],
  ],
  [
    'operation name',
    parseOperationName,
    ['a', 'debitAll2', 'x'.repeat(63)],
    ['x'.repeat(64), 'Debit', '1a', 'a-b', 'a_b', 'a.compensate'],
  ],
] as const)('a %s', (field, parse, good, bad) => {
  it.each(good)('may be %j', (value) => {
    expect(parse(value)).toBe(value);
  });

  it.each([...bad, ...NEVER].map((value) => [value]))('may not be %o', (value) => {
    expect(() => parse(value)).toThrow(
      expect.objectContaining({
        name: 'InvalidIdentifier',
        field,
        // One line of ASCII, whatever was sent.
        message: expect.stringMatching(
          new RegExp(`^Nothing was changed: the ${field} [\\x20-\\x7e]* is not allowed\\. Use 1 to`),
        ) as string,
      }) as Error,
    );
  });
});
