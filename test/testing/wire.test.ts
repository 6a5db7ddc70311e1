import { describe, expect, it } from 'vitest';

import { RequestReader } from '../../src/testing/postgres/requests';
import {
  answerIn,
  backendKey,
  cancelRequest,
  MessageReader,
  parsedStatement,
  queryText,
} from '../../src/testing/postgres/wire';

const packet = (code: number, body = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + body.length, 0);
  head.writeInt32BE(code, 4);
  return Buffer.concat([head, body]);
};
const message = (type: string, ...body: (string | Buffer)[]): Buffer => {
  const content = Buffer.concat(body.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)));
  const length = Buffer.alloc(4);
  length.writeInt32BE(4 + content.length);
  return Buffer.concat([Buffer.from(type), length, content]);
};

describe('the wire protocol', () => {
  const stream = [
    packet(80877103),
    packet(196608, Buffer.from('user\0me\0\0')),
    message('p', Buffer.from('secret')),
    message('Q', 'SELECT ‘é’'),
    message('S'),
    message('Q', 'x'.repeat(1000)),
  ];
  const types = ['encryption-request', 'startup', 'p', 'Q', 'S', 'Q'];

  it.each([1, 2, 3, 7, 64, 4096])('comes out whole, cut into chunks of %i bytes', (size) => {
    const reader = new MessageReader('startup');
    const bytes = Buffer.concat(stream);
    const messages = [];
    for (let at = 0; at < bytes.length; at += size) messages.push(...reader.push(bytes.subarray(at, at + size)));
    expect(messages.map(({ type }) => type)).toEqual(types);
    expect(messages.map((each) => each.bytes.toString('hex'))).toEqual(stream.map((each) => each.toString('hex')));
  });

  it('tells statements, keys and answers', () => {
    const [query, parse, key, complete, error] = new MessageReader('typed').push(
      Buffer.concat([
        message('Q', 'SELECT ‘é’'),
        message('P', 'name', 'SELECT $1', Buffer.from([0, 0])),
        message('K', Buffer.from([0, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8])),
        message('C', 'PREPARE TRANSACTION'),
        message('E', 'SERROR', 'VERROR', 'C40001', 'Mcould not serialize', Buffer.from([0])),
      ]),
    );
    expect(query && queryText(query)).toBe('SELECT ‘é’');
    expect(parse && parsedStatement(parse)).toEqual({ name: 'name', text: 'SELECT $1' });
    // Newer servers have longer secrets than four bytes.
    expect(key && backendKey(key)).toEqual({ pid: 256, secret: Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]) });
    expect(key && cancelRequest(backendKey(key)).toString('hex')).toBe('0000001404d2162e000001000102030405060708');
    expect(complete && answerIn(complete)).toEqual({ kind: 'complete', tag: 'PREPARE TRANSACTION' });
    expect(error && answerIn(error)).toEqual({ kind: 'error', sqlState: '40001' });
    expect(query && answerIn({ ...query, type: 'Z' })).toBeUndefined();
  });

  it('refuses what has an impossible length', () => {
    expect(() => new MessageReader('startup').push(Buffer.from('GET / HTTP/1.1'))).toThrow(/^Nothing was passed on/);
    expect(() => new MessageReader('typed').push(Buffer.from([81, 0, 0, 0, 3]))).toThrow(/4 bytes/);
  });

  it('puts the messages up to a Sync together, with the statements that are executed', () => {
    const requests = new RequestReader();
    const read = (...bytes: Buffer[]): unknown[] =>
      new MessageReader('typed')
        .push(Buffer.concat(bytes))
        .map((each) => requests.read(each))
        .filter((request) => request !== undefined)
        .map(({ kind, statements }) => [kind, ...statements]);
    const bind = (name: string): Buffer => message('B', '', name, Buffer.alloc(6));

    expect(read(message('P', 'a', 'SELECT 1', Buffer.alloc(2)), message('S'))).toEqual([['whole']]);
    expect(read(bind('a'), message('E', '', Buffer.alloc(4)), message('S'))).toEqual([['whole', 'SELECT 1']]);
    expect(read(message('P', '', 'SELECT 2', Buffer.alloc(2)), bind(''), bind('a'), message('S'))).toEqual([
      ['whole', 'SELECT 2', 'SELECT 1'],
    ]);
    expect(read(bind('a'), message('H'), message('S'))).toEqual([['part', 'SELECT 1'], ['whole']]);
    expect(read(message('Q', 'COPY'), message('d'), message('c'), message('S'))).toEqual([
      ['whole', 'COPY'],
      ['pass'],
      ['pass'],
      ['whole'],
    ]);
    expect(read(bind('a'), message('S'), message('d'), message('c'), message('S'))).toEqual([
      ['whole', 'SELECT 1'],
      ['pass'],
      ['pass'],
      ['pass'],
    ]);
  });
});
