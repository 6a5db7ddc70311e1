import { CloudEvent, HTTP } from 'cloudevents';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { CLOUD_EVENT_TYPE, toCloudEvent } from '../../src/outbox/cloud-event';
import { UnpublishableEventError } from '../../src/outbox/errors';
import type { OutboxEvent } from '../../src/outbox/event';
import { anEvent, ODD } from './events';

/** What a consumer with the official SDK makes of the body, which it checks against the schema of CloudEvents 1.0. */
function received(event: OutboxEvent): CloudEvent<unknown> {
  const body = JSON.stringify(toCloudEvent(event));
  // By its content type the SDK knows what it is. What it reads so has no data where those are null, 0, false or ''.
  expect(HTTP.toEvent({ headers: { 'content-type': CLOUD_EVENT_TYPE }, body })).toMatchObject({ id: event.id });
  const strict = true;
  return new CloudEvent(JSON.parse(body) as CloudEvent<unknown>, strict);
}

const complete: OutboxEvent = {
  id: 'id-1',
  source: 'https://shop.example/orders',
  type: 'OrderCreated',
  key: 'order-1',
  version: 42,
  data: { total: 100, lines: [{ sku: 'a' }] },
  time: new Date('2026-01-02T03:04:05.678Z'),
  subject: 'order 1',
  dataschema: 'https://shop.example/schemas/order-created.json#v2',
  headers: { tenant: 'a' },
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  tracestate: 'rojo=00f067aa0ba902b7',
  transaction: 'transfer-1',
  branch: 'debit',
};

describe('an event as a CloudEvent', () => {
  it('has every attribute, and the extensions for key, place and trace', () => {
    expect(toCloudEvent(complete)).toEqual({
      specversion: '1.0',
      id: 'id-1',
      source: 'https://shop.example/orders',
      type: 'OrderCreated',
      time: '2026-01-02T03:04:05.678Z',
      datacontenttype: 'application/json',
      subject: 'order 1',
      dataschema: 'https://shop.example/schemas/order-created.json#v2',
      partitionkey: 'order-1',
      sequence: '0000000000000000042',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'rojo=00f067aa0ba902b7',
      data: { total: 100, lines: [{ sku: 'a' }] },
    });
    expect(received(complete)).toMatchObject({ id: 'id-1', partitionkey: 'order-1', data: complete.data });
  });

  it('has no attribute that the event has not, and none that is empty', () => {
    const { subject: _subject, dataschema: _schema, traceparent: _parent, tracestate: _state, ...bare } = complete;
    const attributes = Object.keys(
      toCloudEvent({ ...bare, subject: '', dataschema: '', traceparent: '', tracestate: '' }),
    );
    expect(attributes.sort()).toEqual(
      ['data', 'datacontenttype', 'id', 'partitionkey', 'sequence', 'source', 'specversion', 'time', 'type'].sort(),
    );
    expect(attributes.sort()).toEqual(Object.keys(toCloudEvent(bare)).sort());
  });

  it('sorts by its sequence as a text', () => {
    const versions = [1, 2, 9, 10, 99, 100, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER];
    const sequences = versions.map((version) => toCloudEvent(anEvent({ version })).sequence);
    expect([...sequences].sort()).toEqual(sequences);
  });

  it.each([null, 0, false, '', 'text', [], [null], {}, 1e300, { '': null }])('carries the data %j as it is', (data) => {
    expect(received(anEvent({ data })).data).toEqual(data);
  });

  it.each(ODD)('is taken by the official SDK with %j for whatever is a text', (odd) => {
    const event = anEvent({ id: odd, source: odd, type: odd, key: odd, subject: odd, tracestate: odd });
    expect(received(event)).toMatchObject({ id: odd, type: odd, partitionkey: odd, subject: odd });
  });

  it('is taken by the official SDK whatever its source is, and two sources stay two', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(text, (source) => void received(anEvent({ source }))),
      { numRuns: 500 },
    );
    expect(toCloudEvent(anEvent({ source: '/a b' })).source).not.toBe(toCloudEvent(anEvent({ source: '/a_b' })).source);
  });

  it('leaves a source that is a URI reference alone', () => {
    for (const source of [
      '/orders',
      'urn:uuid:1-2',
      'https://a.example:8080/x?y=1#z',
      'a/b;c=(1)',
      'mailto:a@b.example',
      '/100%25',
    ])
      expect(toCloudEvent(anEvent({ source })).source).toBe(source);
  });

  it('escapes a source that is none, and leaves what looks like a scheme to schemes', () => {
    const escaped = {
      'a b': 'a%20b',
      '50%': '50%25',
      'a#b#c': 'a#b%23c',
      '[x]': '%5Bx%5D',
      '1:2': './1:2',
      ':': './:',
    };
    for (const [source, reference] of Object.entries(escaped))
      expect(toCloudEvent(anEvent({ source })).source).toBe(reference);
  });

  it.each(['schema', '/schemas/1', '#', '?', '1:2'])('cannot have the dataschema %j, which is no URI', (dataschema) => {
    expect(() => toCloudEvent(anEvent({ dataschema }))).toThrow(UnpublishableEventError);
  });

  it('escapes what a URI cannot contain in a dataschema', () => {
    expect(received(anEvent({ dataschema: 'urn:my schema:é' })).dataschema).toBe('urn:my%20schema:%C3%A9');
  });
});
