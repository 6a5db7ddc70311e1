/**
 * Servers whose `lc_messages` is not English: they translate the severity of an error along with its message, and node-postgres hands
 * on the translation. The code is the same in every language.
 */
import type { Connection, Pool } from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { finishPrepared } from '../../src/participant/prepared';
import type { Gid } from '../../src/participant/gid';
import { isStatementError } from '../../src/participant/sqlstate';
import { quietPool } from '../quiet-pool';
import { Bank, newId, useBanks } from './fixture';

const banks = useBanks();

const GERMAN: Readonly<Record<string, string>> = { ERROR: 'FEHLER', FATAL: 'FATAL', PANIC: 'PANIK' };

/** A bank whose server speaks German, as far as its driver can tell. Ends with the test. */
function germanBank({ name, url }: Bank): Bank {
  const pool = quietPool({ connectionString: url, max: 4 });
  pool.on('connect', (client) => {
    // Cast: pg declares neither the connection of a client nor what it emits.
    const { connection } = client as unknown as { readonly connection: Connection };
    connection.prependListener('errorMessage', (error: { severity: string }) => {
      error.severity = GERMAN[error.severity] ?? error.severity;
    });
  });
  onTestFinished(() => pool.end());
  return new Bank(name, pool, url);
}

describe('at a server that speaks German', () => {
  it('an abort of what was never prepared ends', async () => {
    const south = germanBank(banks.south);
    const request = { transaction: newId(), input: { account: await south.account(), amount: 30 } };
    expect(await south.ask('debit.abort', request)).toEqual({ kind: 'applied' });
  });

  it('an abort and a commit that come again are applied before', async () => {
    const south = germanBank(banks.south);
    for (const decision of ['abort', 'commit']) {
      const { request } = await south.prepareBranch();
      expect(await south.ask(`debit.${decision}`, request)).toEqual({ kind: 'applied' });
      expect(await south.ask(`debit.${decision}`, request)).toEqual({ kind: 'applied' });
    }
  });

  it('a commit of what is lost, with an id that the server has never given, says so', async () => {
    const south = germanBank(banks.south);
    const { request, gid } = await south.prepareBranch();
    await south.byHand(`rollback prepared '${gid}'`);
    expect(await south.ask('debit.commit', { ...request, xid: '999999999999' })).toMatchObject({ kind: 'lost' });
  });

  it('what cannot be prepared is refused for good', async () => {
    const south = germanBank(banks.south);
    expect(await south.ask('run.prepare', { transaction: newId(), input: { sql: ['notify x'] } })).toMatchObject({
      vote: 'abort',
      reason: { code: 'not-preparable' },
    });
  });

  it('a branch that meets a lock votes abort for contention', async () => {
    const south = germanBank(banks.south);
    const holder = await south.prepareBranch();
    const request = { transaction: newId(), input: holder.request['input'] };
    expect(await south.ask('debit.prepare', request)).toMatchObject({
      vote: 'abort',
      reason: { code: 'contention' },
    });
    await south.ask('debit.abort', holder.request);
  });
});

const errorOf = (severity: string, code: string) => Object.assign(new Error('…'), { severity, code });

it.each([
  // The last one: no slot for another prepared transaction.
  ['went on', true, ['0A000', '22023', '23505', '25P02', '40001', '42704', '55P03', '57014', 'P0001', '53200']],
  ['may be gone', false, ['08P01', '25P03', '25P04', '53100', '53300', '57P01', '57P03', '58030', 'XX000']],
])('the connection %s, whatever the language', (_, wentOn, codes) => {
  for (const code of codes)
    for (const severity of ['ERROR', 'FEHLER', 'ВАЖНО'])
      expect(isStatementError(errorOf(severity, code)), code).toBe(wentOn);
});

const UNCERTAIN = [
  ['FATAL', '57P01'],
  ['ВАЖНО', '57P01'],
  ['FEHLER', '57P02'],
  ['PANIK', '58030'],
  ['PANIC', 'XX000'],
  ['FATAL', '25P04'],
  ['FATAL', '08P01'],
  // Whether it waited for a standby and was cancelled, or for a lock: it is asked for again.
  ['FEHLER', '57014'],
  ['FEHLER', '55000'],
] as const;

describe('an error of COMMIT PREPARED', () => {
  const finish = (severity: string, code: string) => {
    const error = errorOf(severity, code);
    const client = {
      on: () => undefined,
      removeListener: () => undefined,
      release: () => undefined,
      query: async (statement: string) => {
        if (statement.startsWith('commit prepared')) throw error;
        return { rowCount: 1, rows: [] };
      },
    };
    // Cast: that is all of a pool that is used.
    return finishPrepared({ connect: async () => client } as unknown as Pool, 'txn1_x' as Gid, 'commit');
  };

  it.each(['ERROR', 'FEHLER', 'ERREUR', 'ОШИБКА', '错误'])(
    'that says %s for 42704 says that there is none',
    async (severity) => {
      expect(await finish(severity, '42704')).toBe('unknown');
    },
  );

  it.each(UNCERTAIN)('that says %s for %s says nothing of the transaction', async (severity, code) => {
    await expect(finish(severity, code)).rejects.toMatchObject({ code });
  });
});
