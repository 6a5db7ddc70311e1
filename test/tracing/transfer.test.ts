/** A transfer across three services is one trace, whatever its protocol: from the client to the consumer of its event. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Payload } from '@temporalio/common';
import { TransactionAborted, TransactionCompensated } from 'temporal-txn/client';
import { SPAN_ATTRIBUTES as A } from 'temporal-txn/observability';
import { defineInbox } from 'temporal-txn/outbox';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { usePostgres } from '../participant/fixture';
import { openCompany } from './company';
import type { Company } from './company';
import { treeOf } from './spans';
import type { TracedSpan } from './spans';

const postgres = usePostgres();
let company: Company;
beforeAll(async () => {
  company = await openCompany((name) => postgres.createService(name));
});
afterAll(() => company?.stop());

/** Whatever is sent, and must be in no span. */
const AMOUNT = 271_828;
// Not within a time or an id, where the digits may come by chance.
const DATA = /(?<![\da-f])271828(?![\da-f])|account-of/;
const transferTo = (to: string) => ({ amount: AMOUNT, to });

/** Looks at the spans of a trace until all is as it should be: each process tells of its own as they end. */
const eventually = (trace: string, look: (spans: readonly TracedSpan[]) => void): Promise<void> =>
  vi.waitFor(() => look(company.spans().filter((span) => span.trace === trace)), { timeout: 20_000, interval: 100 });

/** No span twice, every parent there, one root, and nothing that was sent. */
function expectConnected(spans: readonly TracedSpan[]): void {
  const ids = spans.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)]);
  const orphans = spans.filter(({ parent }) => parent === undefined || !ids.includes(parent));
  expect(orphans.map(({ name }) => name)).toEqual(['request']);
  expect(spans.filter(({ text }) => DATA.test(text))).toEqual([]);
}

/** What a span says of its branch, or of its transaction. */
const told = (spans: readonly TracedSpan[], wanted: string) =>
  spans
    .filter(({ name }) => name === wanted)
    .map(({ status, attributes }) => ({
      status,
      ...Object.fromEntries(Object.entries(attributes).filter(([key]) => /^(txn|error)\./.test(key))),
    }));

describe('a transfer across three services', () => {
  it('is one trace as a saga, with the event that it appends and what that starts', async () => {
    const id = 'saga-1';
    const { trace } = await company.asRequest(() =>
      company.transactions.execute('transferBySaga', { id, input: transferTo('account-of-ben') }),
    );
    const branch = { [A.transaction]: id, [A.branch]: 'north-bank.debit', [A.participant]: 'north-bank' };
    const debit = [{ ...branch, [A.operation]: 'debit', [A.outcome]: 'applied', status: 'OK' }];
    const saga = { [A.transaction]: id, [A.protocol]: 'saga', [A.outcome]: 'committed', status: 'UNSET' };
    await eventually(trace, (spans) => {
      expectConnected(spans);
      expect(treeOf(spans)).toBe(`\
request (client)
  StartWorkflow:transferBySaga (client)
    RunWorkflow:transferBySaga (coordinator)
      RunTransaction:saga (coordinator)
        StartActivity:credit (coordinator)
          RunActivity:credit (services)
            COMMIT (services)
        StartActivity:debit (coordinator)
          RunActivity:debit (services)
            COMMIT (services)
        StartActivity:record (coordinator)
          RunActivity:record (services)
            COMMIT (services)
            PublishEvent:TransferRecorded (services)
              StartWorkflow:reportTransfer (services)
                RunWorkflow:reportTransfer (coordinator)
                  RunTransaction:saga (coordinator)
                    StartActivity:report (coordinator)
                      RunActivity:report (services)
                        COMMIT (services)
                        ReceiveEvent:TransferRecorded (services)`);
      expect(told(spans, 'StartActivity:debit')).toEqual(debit);
      expect(told(spans, 'RunActivity:debit')).toEqual(debit);
      expect(told(spans, 'RunTransaction:saga')).toContainEqual(saga);
      // Of the workflow, which one it is; memo and last result are data.
      const workflow = spans.find(({ name }) => name === 'RunWorkflow:transferBySaga');
      const which = ['namespace', 'run_id', 'taskQueue', 'temporalWorkflowId', 'workflowType'];
      expect(Object.keys(workflow?.attributes ?? {}).sort()).toEqual(which);
      expect(told(spans, 'PublishEvent:TransferRecorded')).toMatchObject([
        { [A.transaction]: id, [A.branch]: 'audit.record' },
      ]);
      expect(told(spans, 'ReceiveEvent:TransferRecorded')).toMatchObject([{ [A.outcome]: 'handled' }]);
    });
  });

  it('is one trace by two-phase commit, through its votes, as docs/tracing.md shows it', async () => {
    const id = '2pc-1';
    const { trace } = await company.asRequest(() =>
      company.transactions.execute('transferByTwoPhases', { id, input: transferTo('account-of-ben') }),
    );
    const page = readFileSync(join(__dirname, '../../docs/tracing.md'), 'utf8');
    const [, shown = ''] = /```text\n(request \(client\)\n[\s\S]*?)\n```/.exec(page) ?? [];
    const branch = { [A.transaction]: id, [A.branch]: 'south-bank.credit' };
    const prepare = { ...branch, [A.participant]: 'south-bank', [A.operation]: 'credit.prepare' };
    await eventually(trace, (spans) => {
      expectConnected(spans);
      expect(treeOf(spans)).toBe(shown);
      expect(told(spans, 'HandleSignal:vote')).toContainEqual({ ...branch, status: 'OK' });
      expect(told(spans, 'RunActivity:credit.prepare')).toEqual([{ ...prepare, [A.outcome]: 'commit', status: 'OK' }]);
      expect(told(spans, 'RunTransaction:two-phase-commit')).toMatchObject([{ [A.outcome]: 'committed' }]);
    });
  });

  it('is one trace by three-phase commit, through the workflows of its participants', async () => {
    const { trace } = await company.asRequest(() =>
      company.transactions.execute('transferByThreePhases', { id: '3pc-1', input: transferTo('account-of-ben') }),
    );
    await eventually(trace, (spans) => {
      expectConnected(spans);
      const names = spans.map(({ name }) => name);
      expect(names).toEqual(expect.arrayContaining(['HandleSignal:doCommit', 'RunWorkflow:reportTransfer']));
      for (const each of ['RunWorkflow:participateInThreePhaseCommit', 'PREPARE TRANSACTION'])
        expect(names.filter((name) => name === each)).toHaveLength(3);
    });
  });
});

describe('a transfer that is refused', () => {
  it('is no error: a saga says which step refused, and what was undone', async () => {
    const { trace } = await company.asRequest(() =>
      expect(
        company.transactions.execute('transferBySaga', { id: 'saga-refused', input: transferTo('nobody') }),
      ).rejects.toThrow(TransactionCompensated),
    );
    const reason = { [A.reason]: 'unknown-account', [A.errorType]: 'Refusal' };
    const refused = [{ ...reason, [A.outcome]: 'refused', status: 'UNSET' }];
    await eventually(trace, (spans) => {
      expectConnected(spans);
      expect(told(spans, 'StartActivity:credit')).toMatchObject(refused);
      expect(told(spans, 'RunActivity:credit')).toMatchObject(refused);
      expect(told(spans, 'RunActivity:debit.compensate')).toMatchObject([{ [A.outcome]: 'compensated', status: 'OK' }]);
      expect(told(spans, 'RunTransaction:saga')).toMatchObject([{ [A.outcome]: 'compensated', status: 'UNSET' }]);
      expect(told(spans, 'RunWorkflow:transferBySaga')).toMatchObject([{ status: 'UNSET' }]);
    });
  });

  it('is no error: two-phase commit says who voted to abort, and why', async () => {
    const { trace } = await company.asRequest(() =>
      expect(
        company.transactions.execute('transferByTwoPhases', { id: '2pc-refused', input: transferTo('nobody') }),
      ).rejects.toThrow(TransactionAborted),
    );
    const no = [{ [A.outcome]: 'abort', [A.reason]: 'unknown-account', status: 'OK' }];
    const aborted = [{ [A.outcome]: 'aborted', status: 'UNSET' }];
    await eventually(trace, (spans) => {
      expectConnected(spans);
      expect(told(spans, 'RunActivity:credit.prepare')).toMatchObject(no);
      expect(told(spans, 'RunTransaction:two-phase-commit')).toMatchObject(aborted);
    });
  });
});

describe('transfers that travel in a group', () => {
  /** Each as a request of its own, in the same moment. */
  const together = (type: string, wishes: Readonly<Record<string, string>>) =>
    Promise.all(
      Object.entries(wishes).map(([id, to]) =>
        company.asRequest(() =>
          company.grouping.execute(type, { id, input: transferTo(to) }).catch((error: unknown) => error),
        ),
      ),
    );
  const group: unknown = expect.stringMatching(/^group:transferBy/);
  /** One whose answer came too late for its group. */
  const isAskedAgain = ({ name, attributes }: TracedSpan): boolean =>
    name.startsWith('AnswerInGroup:') && attributes[A.outcome] === 'applied-before';

  it('are one trace each, from their callers to their branches', async () => {
    const ids = ['grouped-1', 'grouped-2', 'grouped-3'];
    const ben = Object.fromEntries(ids.map((id) => [id, 'account-of-ben']));
    for (const [i, { trace }] of (await together('transferBySaga', ben)).entries()) {
      const id = ids[i] ?? '';
      const branch = { [A.transaction]: id, [A.branch]: 'north-bank.debit', [A.participant]: 'north-bank' };
      const member = { [A.transaction]: id, [A.group]: group, [A.outcome]: 'ended', status: 'UNSET' };
      await eventually(trace, (spans) => {
        expectConnected(spans);
        // The debits were done together, in a local transaction that belongs to none of them.
        expect(treeOf(spans.filter((span) => !isAskedAgain(span)))).toBe(`\
request (client)
  RunInGroup:transferBySaga (coordinator)
    RunTransaction:saga (coordinator)
      AnswerInGroup:credit (services)
        COMMIT (services)
      AnswerInGroup:debit (services)
      AnswerInGroup:record (services)
        COMMIT (services)
        PublishEvent:TransferRecorded (services)
          StartWorkflow:reportTransfer (services)
            RunWorkflow:reportTransfer (coordinator)
              RunTransaction:saga (coordinator)
                StartActivity:report (coordinator)
                  RunActivity:report (services)
                    COMMIT (services)
                    ReceiveEvent:TransferRecorded (services)`);
        expect(told(spans, 'RunInGroup:transferBySaga')).toEqual([member]);
        expect(
          told(
            spans.filter((span) => !isAskedAgain(span)),
            'AnswerInGroup:debit',
          ),
        ).toEqual([{ ...branch, [A.operation]: 'debit', [A.group]: group, [A.outcome]: 'applied', status: 'UNSET' }]);
        expect(told(spans, 'RunTransaction:saga')).toContainEqual(
          expect.objectContaining({ [A.transaction]: id, [A.outcome]: 'committed' }),
        );
      });
    }
  });

  it('show their votes and their decision by two-phase commit', async () => {
    const [one] = await together('transferByTwoPhases', { 'voted-1': 'account-of-ben', 'voted-2': 'account-of-ann' });
    await eventually(one!.trace, (spans) => {
      expectConnected(spans);
      const names = spans.map(({ name }) => name);
      for (const each of ['credit.prepare', 'debit.prepare', 'record.prepare', 'debit.decide', 'credit.commit'])
        expect(names).toContain(`AnswerInGroup:${each}`);
      expect(names.filter((name) => name === 'PREPARE TRANSACTION')).toHaveLength(3);
      expect(names.filter((name) => name === 'COMMIT PREPARED')).toHaveLength(3);
      expect(told(spans, 'AnswerInGroup:credit.prepare')).toMatchObject([{ [A.outcome]: 'commit', status: 'UNSET' }]);
    });
  });

  it('go on in their trace when they leave, and a refusal is no error', async () => {
    const [one, other] = await together('transferBySaga', { 'left-1': 'nobody', 'left-2': 'account-of-ben' });
    expect(one!.result).toBeInstanceOf(TransactionCompensated);
    await eventually(one!.trace, (spans) => {
      expectConnected(spans);
      const refused = {
        [A.outcome]: 'refused',
        [A.reason]: 'unknown-account',
        [A.errorType]: 'Refusal',
        status: 'UNSET',
      };
      expect(told(spans, 'AnswerInGroup:credit')).toMatchObject([refused]);
      expect(told(spans, 'RunInGroup:transferBySaga')).toMatchObject([{ [A.outcome]: 'on-its-own', status: 'UNSET' }]);
      expect(told(spans, 'HandOver:transferBySaga')).toMatchObject([{ [A.outcome]: 'started', status: 'UNSET' }]);
      expect(told(spans, 'RunActivity:debit.compensate')).toMatchObject([{ [A.outcome]: 'compensated' }]);
      const handedOver = spans.find(({ name }) => name === 'HandOver:transferBySaga');
      const started = spans.find(({ name }) => name === 'StartChildWorkflow:transferBySaga');
      expect(started?.parent).toBe(handedOver?.id);
    });
    await eventually(other!.trace, (spans) =>
      expect(told(spans, 'RunInGroup:transferBySaga')).toMatchObject([{ [A.outcome]: 'ended' }]),
    );
  });

  it('belong to their callers where they go alone, whoever went before', async () => {
    const [first, second] = await Promise.all(
      ['lone-1', 'lone-2'].map(async (id, i) => {
        await new Promise((resolve) => setTimeout(resolve, i * 50));
        const input = transferTo('account-of-ben');
        return company.asRequest(() => company.grouping.execute('transferBySaga', { id, input }));
      }),
    );
    for (const [one, id] of [
      [first, 'lone-1'],
      [second, 'lone-2'],
    ] as const)
      await eventually(one!.trace, (spans) => {
        expectConnected(spans);
        expect(told(spans, 'RunTransaction:saga')).toContainEqual(expect.objectContaining({ [A.transaction]: id }));
      });
  });
});

describe('a trace', () => {
  it('goes on when its coordinator is killed, with no span twice, whatever anybody sends as trace context', async () => {
    const id = 'replaced';
    const { trace, result: handle } = await company.asRequest(() =>
      company.transactions.start('transferOnceTold', { id, input: transferTo('account-of-ben') }),
    );
    const of = (spans: readonly TracedSpan[], name: string) => spans.find((span) => span.name === name);
    await eventually(trace, (spans) => expect(of(spans, 'StartActivity:debit')).toBeDefined());
    await company.replaceCoordinator();
    for (const context of FORGED) await forging(context).workflow.getHandle(id).signal('tell', false);
    await company.untraced.workflow.getHandle(id).signal('tell', true);
    await handle.result();
    await eventually(trace, (spans) => {
      expectConnected(spans);
      // The one was drawn by the first coordinator, the other by the second.
      expect(of(spans, 'StartActivity:debit')?.parent).toBe(of(spans, 'RunTransaction:saga')?.id);
    });
  });

  it('goes on where a message is received that came by another way', async () => {
    const { trace, span } = await company.asRequest(async () => undefined);
    const traceparent = `00-${trace}-${span}-01`;
    const [database] = company.pools;
    const received = { id: 'message-1', type: 'Told', data: AMOUNT, traceparent };
    await defineInbox('here').receive(database!, received, async (tx) => void (await tx.query('select 1')));
    await eventually(trace, (spans) => {
      expectConnected(spans);
      expect(treeOf(spans)).toBe('request (client)\n  ReceiveEvent:Told (client)\n    COMMIT (client)');
    });
  });

  it('holds all that was drawn: recovery and relay draw none of their own', () => {
    // What nobody sent a readable context with begins a trace, and so does a group, which belongs to none of its callers.
    // So does a client that asks whether Temporal is there, before it waits.
    const begin = ['request', 'HandleSignal:tell', 'StartWorkflow:runGroup', 'DescribeWorkflow'];
    const roots = company.spans().filter(({ parent }) => parent === undefined);
    expect(roots.filter(({ name }) => !begin.includes(name))).toEqual([]);
  });
});

const FORGED: readonly Payload[] = [
  defaultPayloadConverter.toPayload('no context'),
  defaultPayloadConverter.toPayload({ traceparent: 7, baggage: 7 }),
  defaultPayloadConverter.toPayload(null),
  { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('{') },
  { metadata: { encoding: Buffer.from('of another language') }, data: Buffer.from('{}') },
];

/** A client that sends something as trace context. */
const forging = (context: Payload): Client =>
  new Client({
    connection: company.untraced.connection,
    interceptors: {
      workflow: [
        { signal: (input, next) => next({ ...input, headers: { ...input.headers, '_tracer-data': context } }) },
      ],
    },
  });
