/** What an operation may do to its own transaction so that nothing can be prepared: the branch never votes commit for it (P3). */
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { quietPool } from '../quiet-pool';
import { settled } from '../branch-log/fixture';
import { Bank, newId, useBanks } from './fixture';

const banks = useBanks();

const debit = async () => ({
  transaction: newId(),
  input: { account: await banks.south.account(), amount: 30 },
});

const SCHEMA = `
  create table told (a int);
  create function tell() returns trigger language plpgsql as $$ begin notify told; return new; end $$;
  create trigger tell before insert on told for each row execute function tell();
  create function overhear() returns void language plpgsql as $$ begin execute 'listen x'; end $$;
  create function lock_twice() returns void language sql as
    $$ select pg_advisory_lock(7); select pg_advisory_xact_lock(7) $$;
  create table parent (a int primary key);
  create table child (a int references parent deferrable initially deferred)`;

describe('an operation that catches the error of a statement', () => {
  it.each([true, false])('is not voted for, whether the work comes after it: %s', async (first) => {
    const { transaction, input } = await debit();
    const request = { transaction, input: { ...input, first } };
    expect(await banks.south.ask('careless.prepare', request)).toMatchObject({
      vote: 'abort',
      reason: { code: 'not-preparable', message: expect.stringMatching(/its error was caught.*savepoint/s) as string },
    });
    expect(await banks.south.prepared()).toEqual([]);
    expect(await banks.south.balance(input.account)).toBe(100);
  });

  it('is voted for when it has a savepoint', async () => {
    const request = await debit();
    expect(await banks.south.ask('careful.prepare', request)).toMatchObject({ vote: 'commit' });
    await banks.south.ask('careful.commit', request);
    expect(await banks.south.balance(request.input.account)).toBe(70);
  });

  it('is not voted for with another copy of the driver either', async () => {
    // As in an application that has a pg of its own: its errors are not of our class.
    const pool = quietPool({ connectionString: banks.south.url, max: 2 });
    onTestFinished(() => pool.end());
    pool.on('connect', (client) => {
      const query = client.query.bind(client) as (...all: unknown[]) => Promise<unknown>;
      const ofAnother = (error: Error): Error => Object.assign(new Error(error.message), error);
      Object.assign(client, {
        query: (...all: unknown[]) => {
          if (typeof all.at(-1) === 'function') return query(...all);
          const [sent] = all as [{ handleError?(error: Error): void }];
          const hear = sent.handleError?.bind(sent);
          if (hear) {
            sent.handleError = (error) => hear(ofAnother(error));
            return query(...all);
          }
          return query(...all).catch((error: Error) => {
            throw ofAnother(error);
          });
        },
      });
    });
    const { transaction, input } = await debit();
    const request = { transaction, input: { ...input, first: false } };
    const vote = await settled(new Bank('south', pool, banks.south.url).ask('careless.prepare', request));
    expect(vote).toMatchObject({ vote: 'abort', reason: { code: 'not-preparable' } });
  });
});

describe('what PostgreSQL cannot prepare', () => {
  beforeAll(async () => void (await banks.south.pool.query(SCHEMA)));

  it.each([
    ['NOTIFY', ['notify x']],
    ['pg_notify', [`select pg_notify('x', '')`]],
    ['a NOTIFY in a trigger', ['insert into told values (1)']],
    ['a LISTEN in a function', ['select overhear()']],
    ['an exported snapshot', ['select pg_export_snapshot()']],
    ['a temporary table', ['create temporary table t (a int) on commit drop']],
    ['a session and a transaction lock on one key', ['select lock_twice()']],
  ])('%s: the vote says so, for good', async (_, sql) => {
    const request = { transaction: newId(), input: { sql } };
    const no = {
      vote: 'abort',
      reason: { code: 'not-preparable', message: expect.stringContaining('Take it out of the operation') as string },
    };
    expect(await banks.south.ask('run.prepare', request)).toMatchObject(no);
    expect(await banks.south.ask('run.prepare', { ...request, attempt: 2 })).toMatchObject(no);
    expect(await banks.south.prepared()).toEqual([]);
  });

  it.each([
    ['a deferred unique key', 'insert into unique_later values (1)'],
    ['a deferred foreign key', 'insert into child values (4711)'],
  ])('%s that does not hold: the vote names the constraint, and no value', async (_, sql) => {
    const vote = await banks.south.ask('run.prepare', { transaction: newId(), input: { sql: [sql] } });
    expect(vote).toMatchObject({ vote: 'abort', reason: { code: 'constraint-violated' } });
    expect(JSON.stringify(vote)).toContain('constraint ');
    expect(JSON.stringify(vote)).not.toContain('4711');
  });

  it.each([
    'commit',
    'rollback',
    'begin',
    `prepare transaction 'x'`,
    'listen x',
    'set role north',
    'declare c cursor with hold for select 1',
  ])('an operation may not say %s', async (statement) => {
    const request = { transaction: newId(), input: { sql: [statement] } };
    await expect(banks.south.ask('run.prepare', request)).rejects.toMatchObject({
      type: 'BadRequest',
      nonRetryable: true,
    });
    expect(await banks.south.prepared()).toEqual([]);
  });
});
