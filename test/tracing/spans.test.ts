/** What is drawn, and what is not: spans of this package in one process, with the real SDK of OpenTelemetry. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { context, createTraceState, trace, TraceFlags } from '@opentelemetry/api';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { inSpan, SPAN_ATTRIBUTES, SPANS, traceContext } from 'temporal-txn/observability';
import type { TraceContext } from 'temporal-txn/observability';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { webhook } from '../../src/outbox';
import type { CloudEvent } from '../../src/outbox';
import { Flight } from '../../src/outbox/relay/flight';
import { anEvent } from '../outbox/events';
import { traceHere } from './here';
import type { TracedHere } from './here';
import type { TracedSpan } from './spans';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`;

let here: TracedHere;
beforeAll(() => {
  here = traceHere();
});
afterAll(() => here.stop());

const named = (name: string): readonly TracedSpan[] => here.spans().filter((span) => span.name === name);
const nothing = async (): Promise<void> => undefined;

describe('a span', () => {
  it('is drawn inside the one that is active, and hands its trace on', async () => {
    const {
      trace: id,
      span,
      result,
    } = await here.asRequest(() => inSpan({ name: 'inside' }, async () => traceContext()));
    const [inside] = named('inside');
    expect(inside).toMatchObject({ trace: id, parent: span, status: 'UNSET' });
    expect(result).toEqual({ traceparent: `00-${id}-${inside?.id}-01` });
  });

  it('is not drawn where none is active', async () => {
    await inSpan({ name: 'alone' }, nothing);
    expect(named('alone')).toEqual([]);
    expect(traceContext()).toEqual({});
  });

  it('is not drawn, and hands nothing on, where only the application traces', async () => {
    const { result } = await here.asRequest(() =>
      here.withoutPackage(() => inSpan({ name: 'without' }, async () => traceContext())),
    );
    expect(result).toEqual({});
    expect(named('without')).toEqual([]);
  });

  it('goes on with the trace of an event, whatever is active', async () => {
    const continues = { traceparent: TRACEPARENT, tracestate: 'vendor=1' };
    const { result } = await here.asRequest(() => inSpan({ name: 'event', continues }, async () => traceContext()));
    const [event] = named('event');
    expect(event).toMatchObject({ trace: TRACE, parent: 'b7ad6b7169203331' });
    expect(result).toEqual({ traceparent: `00-${TRACE}-${event?.id}-01`, tracestate: 'vendor=1' });
  });

  it.each<TraceContext>([
    {},
    { traceparent: '' },
    { traceparent: `ff${TRACEPARENT.slice(2)}` },
    { traceparent: `${TRACEPARENT}-more` },
    { traceparent: TRACEPARENT.toUpperCase() },
    { traceparent: TRACEPARENT.replace(TRACE, '0'.repeat(32)) },
    { traceparent: 7 as never },
  ])('begins a trace where what an event has is none: %j', async (continues) => {
    const name = `of ${JSON.stringify(continues)}`;
    await here.asRequest(() => inSpan({ name, continues }, nothing));
    const [span] = named(name);
    expect(span?.parent).toBeUndefined();
    expect(span?.trace).not.toBe(TRACE);
  });

  it('reads a later version of the format as far as it knows it', async () => {
    await inSpan({ name: 'later', continues: { traceparent: `01${TRACEPARENT.slice(2)}-more` } }, nothing);
    expect(named('later')).toMatchObject([{ trace: TRACE }]);
  });

  it('is not drawn in a trace that is not sampled, and that is handed on', async () => {
    const parent = { traceId: TRACE, spanId: 'b7ad6b7169203331', traceFlags: TraceFlags.NONE };
    const handedOn = await context.with(trace.setSpanContext(context.active(), parent), () =>
      inSpan({ name: 'unsampled' }, async () => traceContext()),
    );
    expect(handedOn.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
    expect(named('unsampled')).toEqual([]);
  });

  it('leaves out what vendors add when it is more than anybody hands on', async () => {
    const vendors = Array.from({ length: 8 }, (_, n) => [`vendor${n}`, 'x'.repeat(100)] as const);
    const traceState = vendors.reduce((all, [key, value]) => all.set(key, value), createTraceState());
    const parent = { traceId: TRACE, spanId: 'b7ad6b7169203331', traceFlags: TraceFlags.SAMPLED, traceState };
    context.with(trace.setSpanContext(context.active(), parent), () =>
      expect(traceContext()).toEqual({ traceparent: TRACEPARENT }),
    );
  });

  it('says of an error what kind it is, and not what it says', async () => {
    const broken = Object.assign(new Error('Key (owner)=(ann) already exists.'), { code: '23505' });
    const refusal = ApplicationFailure.create({
      message: 'ann',
      type: 'Refusal',
      category: ApplicationFailureCategory.BENIGN,
    });
    for (const [name, error] of [
      ['broken', broken],
      ['refused', refusal],
    ] as const)
      await here.asRequest(() => expect(inSpan({ name }, () => Promise.reject(error))).rejects.toBe(error));
    expect(named('broken')).toMatchObject([{ status: 'ERROR', attributes: { [SPAN_ATTRIBUTES.errorType]: '23505' } }]);
    expect(named('refused')).toMatchObject([
      { status: 'UNSET', attributes: { [SPAN_ATTRIBUTES.errorType]: 'Refusal' } },
    ]);
    for (const { text } of here.spans()) expect(text).not.toContain('ann');
  });

  it('ends with its work, also with one that fails before it waits for anything', async () => {
    const work = (): never => {
      throw new RangeError('at once');
    };
    await here.asRequest(async () => expect(() => inSpan({ name: 'at once' }, work)).toThrow(RangeError));
    expect(named('at once')).toMatchObject([{ status: 'ERROR', attributes: { 'error.type': 'RangeError' } }]);
  });
});

describe('docs/tracing.md', () => {
  const page = readFileSync(join(__dirname, '../../docs/tracing.md'), 'utf8');

  it.each([...Object.values(SPANS), ...Object.values(SPAN_ATTRIBUTES)])('tells of %s', (name) => {
    expect(page).toContain(`\`${name.endsWith(':') ? `${name}…` : name}\``);
  });
});

describe('an event that is published', () => {
  it('has headers of the span that publishes it, and says itself where it began', async () => {
    const requests: { readonly headers: IncomingHttpHeaders; readonly body: CloudEvent }[] = [];
    const server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        requests.push({ headers: request.headers, body: JSON.parse(Buffer.concat(parts).toString()) as CloudEvent });
        response.writeHead(204).end();
      });
    });
    server.listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const publisher = webhook({
      url: `http://127.0.0.1:${port}/`,
      secret: `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
    });
    const event = anEvent({
      type: 'Shipped',
      traceparent: TRACEPARENT,
      tracestate: 'vendor=1',
      transaction: 'order-1',
    });
    const flight = new Flight({ publisher, concurrency: 1, publishTimeoutMs: 10_000 });
    flight.begin([{ partition: 0, position: '1', edition: 0, event }]);
    expect((await flight.landed(10_000)).failed).toEqual([]);
    const [published] = named('PublishEvent:Shipped');
    expect(published).toMatchObject({
      trace: TRACE,
      kind: 'PRODUCER',
      attributes: { [SPAN_ATTRIBUTES.event]: event.id, [SPAN_ATTRIBUTES.transaction]: 'order-1' },
    });
    const [{ headers, body } = { headers: {}, body: undefined }] = requests;
    expect(headers).toMatchObject({ traceparent: `00-${TRACE}-${published?.id}-01`, tracestate: 'vendor=1' });
    expect(body).toMatchObject({ traceparent: TRACEPARENT, tracestate: 'vendor=1' });
  });
});
