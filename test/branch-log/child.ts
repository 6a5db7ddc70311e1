/**
 * A participant in a process of its own, for tests that kill it: asks for one branch, given as JSON, and writes the answer to
 * standard output. Its crash points are armed from the environment.
 */
import { quietPool } from '../quiet-pool';
import { Ledger, LedgerBranch } from './ledger';
import type { Asked } from './ledger';

async function main(url: string, asked: string, ask: string): Promise<void> {
  const pool = quietPool({ connectionString: url, max: 1 });
  const branch = new LedgerBranch(new Ledger(pool), JSON.parse(asked) as Asked);
  const answer = await (ask === 'compensate' ? branch.compensate() : branch.execute());
  process.stdout.write(JSON.stringify(answer));
  await pool.end();
}

main(process.argv[2] ?? '', process.argv[3] ?? '', process.argv[4] ?? '').catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
});
