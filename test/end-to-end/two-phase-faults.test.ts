/**
 * Two-phase commit with every process and server that can die in it: each time all databases do what the register says, and
 * nothing stays prepared. The recovery of the participants finishes what has no coordinator any more.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { TransactionAborted, TransactionInterrupted } from 'temporal-txn/client';
import { recoveryQuery } from 'temporal-txn/workflow';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readBooks } from '../../demo/books';
import type { Books } from '../../demo/books';
import type { CrashpointName } from '../../src/protocol';
import type { CrashAction } from '../../src/testing';
import type { Transfer, TransferReceipt } from '../../workflows/bank-transfer';
import { isTurnOf, some } from '../depth';
import { countOf, expectSoundBooks, newId, until, useShop } from './fixture';
import {
  armAll,
  ATOMICALLY,
  decisionsOf,
  endOfAny,
  expectObeyed,
  parties,
  secondsSince,
  untilDecided,
  untilNothingPrepared,
  untilPrepared,
} from './two-phase-fixture';
import { openAccount, useWay, WAYS } from './ways';

const company = useShop({ open: ['north-bank', 'south-bank', 'audit'] });
let temporal: Client;
beforeAll(async () => {
  const { address, namespace } = company().stack.temporal;
  temporal = new Client({ connection: await Connection.connect({ address }), namespace });
});
afterAll(() => temporal.connection.close());

const figures: string[] = [];
afterAll(() => console.log(['two-phase-faults:', ...figures].join('\n  ')));
const figure = (what: string, sinceMs: number): void => void figures.push(`${secondsSince(sinceMs)}: ${what}`);

const at = (point: CrashpointName, action: CrashAction = { kind: 'kill' }, passage = 1) => ({
  at: point,
  action,
  passage,
});
const later = (ms: number): CrashAction => ({ kind: 'delay', ms });

/** Decided, and no further. An attempt is given up after 10 seconds: as many are held up, or the next one would go through. */
const heldUp = (attempts: number) =>
  Array.from({ length: attempts }, (_, i) => at('two-phase.decided-before-finish', later(60_000), i + 1));

function transfer(from: string, to: string, amount = 500): Transfer {
  const ref = (text: string): Transfer['from'] => {
    const [bank, account] = text.split('/') as [Transfer['from']['bank'], string];
    return { bank, account };
  };
  return { from: ref(from), to: ref(to), amount, currency: 'EUR' };
}

/** More than anybody has: the primary votes abort, the other bank commit. */
const TOO_MUCH = 99_000_000;
const southward = transfer('north-bank/alice', 'south-bank/bob');
const northward = transfer('south-bank/dave', 'north-bank/carol');

const toNobody = transfer('north-bank/alice', 'south-bank/nobody');
const northwardToNobody = transfer('south-bank/bob', 'north-bank/nobody');

/** For each bank where it dies, and the transfers under way then. The primary is the bank that pays. */
const POINTS = [
  ['before-prepare', 'before-prepare', [[southward, 'committed']]],
  ['prepared-before-vote', 'prepared-before-vote', [[southward, 'committed']]],
  ['voted-before-answer', 'voted-before-answer', [[southward, 'committed']]],
  [
    'refused-before-vote',
    'refused-before-vote',
    [
      [northwardToNobody, 'aborted'],
      [toNobody, 'aborted'],
    ],
  ],
  [
    'decided-before-finish',
    'decided-before-finish',
    [
      [southward, 'committed'],
      [northwardToNobody, 'aborted'],
    ],
  ],
  [
    'finished-before-report',
    'finished-before-report',
    [
      [toNobody, 'aborted'],
      [northward, 'committed'],
    ],
  ],
  [
    'rolled-back-before-tombstone',
    'rolled-back-before-tombstone',
    [
      [toNobody, 'aborted'],
      [transfer('north-bank/carol', 'south-bank/dave', TOO_MUCH), 'aborted'],
    ],
  ],
  [
    'aborted-before-ack',
    'committed-before-ack',
    [
      [transfer('south-bank/dave', 'north-bank/carol', TOO_MUCH), 'aborted'],
      [southward, 'committed'],
    ],
  ],
] as const;

describe.each(WAYS.filter((way) => isTurnOf('faults of two-phase commit', way)))('%s', (way) => {
  const shop = useWay(way, company);
  let before: Books;
  beforeEach(async () => {
    before = await readBooks(shop());
  });

  async function start(name: string, input: Transfer): Promise<string> {
    const id = newId(name);
    await shop().transactions.start(ATOMICALLY, { id, input });
    return id;
  }

  /** The transfer ended so, all databases obeyed, and the books add up. */
  async function expectEnd(id: string, input: Transfer, end: 'committed' | 'aborted'): Promise<void> {
    expect(await endOfAny(shop(), id), id).toBe(end);
    expect(await expectObeyed(shop(), id, input)).toBe(end === 'committed' ? 'commit' : 'abort');
  }

  describe('both banks are killed at', () => {
    it.each(some(POINTS, 1, `both banks are killed, ${way}`))(
      '%s and %s, and obey the register when they are back',
      async (atNorth, atSouth, transfers) => {
        const points = [`two-phase.${atNorth}`, `two-phase.${atSouth}`] as const;
        const killing = await armAll(shop(), { 'north-bank': [at(points[0])], 'south-bank': [at(points[1])] });
        const ids = await Promise.all(transfers.map(([input]) => start('killed', input)));
        const died = await killing.died;
        for (const [i, [input, end]] of transfers.entries()) await expectEnd(ids[i]!, input, end);
        figure(`ended, after both banks were killed at ${[...new Set(points)].join(' and ')}`, died);
        expect(killing.notes()).toEqual(points);
        await expectSoundBooks(shop(), before);
      },
      90_000,
    );
  });

  /** Holds a transfer up while both banks are prepared and the audit has not voted. */
  async function whilePrepared(name: string, what: () => Promise<void>): Promise<void> {
    const { audit } = shop().workers;
    await audit.stop();
    const id = await start(name, southward);
    await untilPrepared(shop(), id, 2);
    await what();
    const since = Date.now();
    await audit.start();
    await expectEnd(id, southward, 'committed');
    figure(`committed after: ${name}, while votes are collected`, since);
  }

  /** Holds a transfer up right after its decision. */
  async function onceDecided(name: string, what: () => Promise<void>): Promise<void> {
    await armAll(shop(), { 'north-bank': [at('two-phase.decided-before-finish', later(1_500))] });
    const id = await start(name, southward);
    await untilDecided(shop(), id);
    await what();
    const since = Date.now();
    await expectEnd(id, southward, 'committed');
    figure(`committed after: ${name}, right after the decision`, since);
  }

  type InTheMiddle = typeof whilePrepared;

  const MIDDLE = [
    [
      'the worker of the coordinators is killed, and another one goes on',
      async (inTheMiddle: InTheMiddle) => {
        const worker = shop().workers.transactions;
        const { restarts } = worker;
        await inTheMiddle('coordinator-killed', () => worker.kill());
        expect(worker.restarts).toBe(restarts + 1);
        await expectSoundBooks(shop(), before);
      },
    ],
    [
      'both PostgreSQL servers crash, and what was prepared and decided is there when they are back',
      async (inTheMiddle: InTheMiddle) => {
        const { a, b } = shop().stack.postgres;
        await inTheMiddle('postgres-killed', async () => {
          await Promise.all([a.kill(), b.kill()]);
          await Promise.all([a.restart(), b.restart()]);
        });
        await expectSoundBooks(shop(), before);
      },
    ],
    [
      'Temporal crashes and comes back',
      async (inTheMiddle: InTheMiddle) => {
        const server = shop().stack.temporal;
        await inTheMiddle('temporal-killed', async () => {
          await server.kill();
          await server.restart();
        });
        await expectSoundBooks(shop(), before);
      },
    ],
  ] as const;

  const WHEN = [
    ['while votes are collected', whilePrepared],
    ['right after the decision', onceDecided],
  ] as const;

  describe.each(some(WHEN, way === 'alone' ? 2 : 1, `when something happens, ${way}`))('%s', (when, inTheMiddle) => {
    it.each(some(MIDDLE, 1, `${when}, ${way}`))('%s', async (_, happens) => happens(inTheMiddle), 90_000);
  });

  async function remove(workflowId: string): Promise<void> {
    const { connection, options } = temporal;
    await connection.workflowService.deleteWorkflowExecution({
      namespace: options.namespace,
      workflowExecution: { workflowId },
    });
  }

  /** Has the coordinator forget everything since its first task, as a person can at the command line. */
  async function reset(workflowId: string): Promise<void> {
    const { connection, options } = temporal;
    const { events } = await temporal.workflow.getHandle(workflowId).fetchHistory();
    const first = events?.find(({ workflowTaskCompletedEventAttributes }) => workflowTaskCompletedEventAttributes);
    await connection.workflowService.resetWorkflowExecution({
      namespace: options.namespace,
      workflowExecution: { workflowId },
      workflowTaskFinishEventId: first!.eventId!,
      requestId: newId('reset'),
      reason: 'a test',
    });
  }

  // From here on somebody takes the coordinator of one transaction away, by its id. In a group it has none of its own, and who takes that
  // of the group away takes it from all of them: see the last test.
  const isAlone = way === 'alone';

  it.runIf(isAlone)(
    'a coordinator that is reset after the decision and then cancelled obeys the register, and commits',
    async () => {
      const { transactions, workers } = shop();
      await armAll(shop(), { 'north-bank': [at('two-phase.finished-before-report', later(60_000))] });
      const id = await start('reset', southward);
      await until('North Bank has committed', async () => {
        return (await countOf(shop(), 'north-bank', 'entry where transaction_id = $1', [id])) === 1;
      });
      await workers.transactions.stop();
      await reset(id);
      // What it proposes now, before it has asked anybody, is to abort.
      await transactions.handle(id).cancel();
      const since = Date.now();
      await workers.transactions.start();
      await expectEnd(id, southward, 'committed');
      figure('committed after a reset and a cancellation', since);
      const [report] = await transactions.handle(id).reports<'two-phase-commit'>();
      expect(report?.branches.map(({ vote }) => vote)).toContain('none');
      expect(await decisionsOf(shop(), 'north-bank', id)).toMatchObject([{ decision: 'commit', by: 'coordinator' }]);
      await expectSoundBooks(shop(), before);
    },
    90_000,
  );

  /** Two for the coordinators that go before the decision, two for those that go after it. */
  const orphans = [
    transfer('north-bank/alice', 'south-bank/bob'),
    transfer('north-bank/carol', 'south-bank/dave'),
    transfer('north-bank/olga', 'south-bank/otto'),
    transfer('north-bank/oona', 'south-bank/oleg'),
  ] as const;

  describe.runIf(isAlone)('the recovery of the participants', () => {
    it('aborts what a terminated or deleted coordinator left undecided, commits what was decided, and is killed itself', async () => {
      for (const id of ['olga', 'oona']) await openAccount(company(), 'north-bank', id, 10_000);
      for (const id of ['otto', 'oleg']) await openAccount(company(), 'south-bank', id, 10_000);
      before = await readBooks(shop());
      const { transactions, workers } = shop();
      const recovered = 'two-phase.recovered-before-report';
      const killing = await armAll(shop(), {
        'north-bank': [...heldUp(6), at(recovered)],
        'south-bank': [at(recovered)],
      });
      const ids = await Promise.all(orphans.slice(2).map((input) => start('decided', input)));
      await Promise.all(ids.map((id) => untilDecided(shop(), id)));
      await workers.audit.stop();
      ids.unshift(...(await Promise.all(orphans.slice(0, 2).map((input) => start('undecided', input)))));
      await Promise.all(ids.map((id) => untilPrepared(shop(), id, 2)));
      const [terminated, deleted, terminatedDecided, deletedDecided] = ids as [string, string, string, string];
      await Promise.all([terminated, terminatedDecided].map((id) => shop().terminate(id)));
      await Promise.all([deleted, deletedDecided].map((id) => remove(id)));
      const since = Date.now();
      await workers.audit.start();
      await untilNothingPrepared(shop());
      figure('nothing is prepared, after four coordinators were terminated or deleted and recovery was killed', since);
      await killing.died;
      expect(killing.notes()).toEqual([recovered, recovered]);

      for (const [i, id] of ids.entries()) {
        expect(await expectObeyed(shop(), id, orphans[i]!), id).toBe(i < 2 ? 'abort' : 'commit');
        const by = i < 2 ? expect.stringMatching(/^recovery:(north|south)-bank$/) : 'coordinator';
        expect(await decisionsOf(shop(), 'north-bank', id)).toMatchObject([{ transaction: id, by }]);
      }
      await expect(transactions.execute(ATOMICALLY, { id: terminated, input: orphans[0] })).rejects.toThrow(
        TransactionInterrupted,
      );
      const resumed = await transactions.resume(ATOMICALLY, { id: terminated, input: orphans[0] });
      await expect(resumed.result()).rejects.toThrow(TransactionAborted);
      const again = await transactions.resume<Transfer, TransferReceipt>(ATOMICALLY, {
        id: terminatedDecided,
        input: orphans[2],
      });
      expect(await again.result()).toEqual({
        auditEntry: expect.any(String),
        balanceAfter: 10_000 - orphans[2].amount,
      });
      expect(await expectObeyed(shop(), terminated, orphans[0])).toBe('abort');
      expect(await expectObeyed(shop(), terminatedDecided, orphans[2])).toBe('commit');
      await expectSoundBooks(shop(), before);
    }, 90_000);

    it('does not take a coordinator for gone because another Temporal has a namespace of the same name (O6)', async () => {
      const { workers, databases, stack } = shop();
      const { namespace } = stack.temporal;
      const { namespaceInfo } = await temporal.workflowService.describeNamespace({ namespace });
      await workers.audit.stop();
      const id = await start('another-temporal', southward);
      await untilPrepared(shop(), id, 2);
      const pretend = (other: string) =>
        Promise.all(
          (['north-bank', 'south-bank'] as const).map(async (bank) => {
            const { rows } = await databases[bank].query<{ namespace: string | null }>(
              `with recorded as (select namespace_id from txn.preparation where transaction_id = $1)
             update txn.preparation set namespace_id = $2 where transaction_id = $1
             returning (select namespace_id from recorded) as namespace`,
              [id, other],
            );
            return rows.map((row) => row.namespace);
          }),
        );
      expect(await pretend('another')).toEqual([[namespaceInfo?.id], [namespaceInfo?.id]]);
      await shop().terminate(id);
      const recovery = temporal.workflow.getHandle('recovery:south-bank');
      await until('the recovery of South Bank has looked', async () => {
        const { waiting } = await recovery.query(recoveryQuery);
        return waiting.some(({ transaction }) => transaction === id);
      });
      const { waiting } = await recovery.query(recoveryQuery);
      expect(waiting).toMatchObject([
        { state: 'left', because: 'It is not known whether its coordinator is running.' },
      ]);
      expect(await decisionsOf(shop(), 'north-bank', id)).toEqual([]);
      await pretend(namespaceInfo?.id ?? '');
      await untilNothingPrepared(shop());
      expect(await expectObeyed(shop(), id, southward)).toBe('abort');
      await workers.audit.start();
      await expectSoundBooks(shop(), before);
    }, 60_000);

    it('is one workflow each, however many workers have started it, and tells what it has found', async () => {
      const found: string[] = [];
      await until('visibility lists them', async () => {
        found.length = 0;
        const query = "WorkflowType = 'recoverParticipant' and ExecutionStatus = 'Running'";
        for await (const { workflowId } of temporal.workflow.list({ query })) found.push(workflowId);
        return found.length >= parties.length;
      });
      expect(found.sort()).toEqual(parties.map((name) => `recovery:${name}`).sort());
      expect(shop().workers['north-bank'].restarts).toBeGreaterThan(0);
      const report = await temporal.workflow.getHandle('recovery:north-bank').query(recoveryQuery);
      expect(report).toMatchObject({ participant: 'north-bank', waiting: [], foreign: 0 });
      expect(report.settled).toBeGreaterThan(0);
      expect(report.slots.limit).toBeGreaterThan(0);
      for (const name of parties) {
        const { status, runId, raw } = await temporal.workflow.getHandle(`recovery:${name}`).describe();
        expect(status.name, name).toBe('RUNNING');
        // It has never ended and been started again: its one run is the first of its chain.
        expect(raw.workflowExecutionInfo?.firstRunId, name).toBe(runId);
      }
    });

    it('guesses nothing while a register is away, and a coordinator does not give up a branch that is away', async () => {
      const { workers, stack } = shop();
      await armAll(shop(), {
        'north-bank': heldUp(3),
        'south-bank': [at('two-phase.decided-before-finish', later(5_000))],
      });
      // The register of the one and a branch of the other are in the server that goes away. The other one, which goes on by itself,
      // comes last.
      const orphan = await start('register-away', southward);
      await untilDecided(shop(), orphan);
      const patient = await start('branch-away', northward);
      await until(
        'the other one is decided',
        async () => (await decisionsOf(shop(), 'south-bank', patient)).length > 0,
      );
      await Promise.all([shop().terminate(orphan), stack.postgres.a.kill()]);
      await workers['north-bank'].stop();
      const recovery = temporal.workflow.getHandle('recovery:south-bank');
      await until('the recovery of South Bank waits for the register', async () => {
        const { waiting } = await recovery.query(recoveryQuery);
        return waiting.some(({ transaction, state }) => transaction === orphan && state === 'left');
      });
      const { waiting } = await recovery.query(recoveryQuery);
      // Of the other one it may know too, whose coordinator is running.
      expect(waiting.find(({ transaction }) => transaction === orphan)).toMatchObject({
        because: expect.stringContaining('does not answer'),
      });
      const reports = () => shop().transactions.handle(patient).reports<'two-phase-commit'>();
      await until('the other one is to be committed', async () => (await reports())[0]?.outcome === 'committing');
      // Longer than any single question to the branch, which is asked only now, may take.
      await sleep(11_000);
      expect(await reports()).toMatchObject([{ outcome: 'committing', decision: 'commit' }]);
      const back = Date.now();
      await stack.postgres.a.restart();
      await workers['north-bank'].start();
      await expectEnd(patient, northward, 'committed');
      figure('committed by the coordinator, after the PostgreSQL of a branch came back', back);
      await untilNothingPrepared(shop(), 90_000);
      figure('committed by recovery, after the PostgreSQL of the register came back', back);
      expect(await expectObeyed(shop(), orphan, southward)).toBe('commit');
      await expectSoundBooks(shop(), before);
    }, 150_000);
  });

  it.skipIf(isAlone)(
    'a group that is terminated leaves to recovery what is prepared, and executed again all end as it was decided',
    async () => {
      const { transactions, workers } = shop();
      await armAll(shop(), { 'north-bank': [at('two-phase.decided-before-finish', later(60_000))] });
      const decided = await start('group-decided', southward);
      await untilDecided(shop(), decided);
      // Before the group, which nobody else keeps waiting, hands it over.
      await shop().terminate(decided);
      await workers.audit.stop();
      const undecided = await start('group-undecided', northward);
      await untilPrepared(shop(), undecided, 2);
      await shop().terminate(undecided);
      const since = Date.now();
      await workers.audit.start();
      await untilNothingPrepared(shop());
      figure('nothing is prepared, after two groups were terminated', since);
      for (const [id, input, end] of [
        [decided, southward, 'committed'],
        [undecided, northward, 'aborted'],
      ] as const) {
        await expect(transactions.handle(id).result()).rejects.toThrow(TransactionInterrupted);
        await transactions.resume(ATOMICALLY, { id, input });
        await expectEnd(id, input, end);
      }
      await expectSoundBooks(shop(), before);
    },
    90_000,
  );
});
