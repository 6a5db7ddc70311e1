/** A user's first saga, as source: a participant on a real PostgreSQL, a workflow, a client, in either module system. */
import type { ModuleKind } from './consumer';

const load = (kind: ModuleKind, names: string, module: string): string =>
  kind === 'commonjs' ? `const { ${names} } = require('${module}');` : `import { ${names} } from '${module}';`;

/** Moves one unit from a purse to another, or refuses. */
export const workflowSource = (kind: ModuleKind): string => `
${load(kind, 'participant, saga', 'temporal-txn/workflow')}
const purse = participant('purse');
${kind === 'module' ? 'export ' : ''}async function give({ from, to }) {
  return saga(async (s) => {
    const taken = await s.step(purse.take, { owner: from });
    await s.step(purse.put, { owner: to });
    return taken;
  });
}
${kind === 'commonjs' ? 'module.exports = { give };' : ''}
`;

/** Prints what became of two transactions, and what is in the purses then. */
export const mainSource = (kind: ModuleKind, workflows: string): string => `
${load(kind, 'mkdtempSync, rmSync', 'node:fs')}
${load(kind, 'tmpdir', 'node:os')}
${load(kind, 'join', 'node:path')}
${kind === 'commonjs' ? "const pg = require('pg');" : "import pg from 'pg';"}
${load(kind, 'defineParticipant, migrate, operation, participantActivities, refuse', 'temporal-txn/participant')}
${load(kind, 'PostgresServer, TransactionTestEnvironment', 'temporal-txn/testing')}
${load(kind, 'TransactionCompensated', 'temporal-txn/client')}

const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const add = async (tx, owner, n) => {
  const { rows } = await tx.query('update purse set coins = coins + $2 where owner = $1 returning coins', [owner, n]);
  if (rows.length === 0) refuse('unknown-owner', 'There is no such purse');
  return rows[0];
};
const purse = defineParticipant('purse', {
  take: operation({
    input: anything,
    execute: (tx, { owner }) => add(tx, owner, -1),
    compensate: async (tx, { owner }) => void (await add(tx, owner, 1)),
  }),
  put: operation({
    input: anything,
    execute: (tx, { owner }) => add(tx, owner, 1),
    compensate: async (tx, { owner }) => void (await add(tx, owner, -1)),
  }),
});

async function main() {
  const directory = mkdtempSync(join(tmpdir(), 'temporal-txn-user-'));
  const server = await PostgresServer.start({ directory, durable: false });
  const pool = new pg.Pool({ connectionString: await server.createService('purse') });
  await migrate(pool);
  await pool.query("create table purse (owner text primary key, coins int not null); insert into purse values ('ann', 3), ('ben', 0)");
  const env = await TransactionTestEnvironment.start({
    workflows: ${JSON.stringify(workflows)},
    participants: { purse: participantActivities(purse, { pool }) },
  });
  try {
    const done = await env.transactions.execute('give', { id: 'give-1', input: { from: 'ann', to: 'ben' } });
    const undone = await env.transactions.execute('give', { id: 'give-2', input: { from: 'ann', to: 'nobody' } }).catch((error) => error);
    const { rows } = await pool.query('select owner, coins from purse order by owner');
    console.log(JSON.stringify({ done, undone: undone instanceof TransactionCompensated && undone.report.cause.refusal.code, rows }));
  } finally {
    await env.stop();
    await pool.end();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
`;
