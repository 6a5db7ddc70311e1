/**
 * `npm run approve -- --id <transaction>` shows what waits for approval; with `--vote commit` or `--vote abort --reason <why>`
 * the person votes.
 */
import { QueryNotRegisteredError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { Command, Option } from 'commander';
import { TransactionClient, TransactionNotFound } from 'temporal-txn/client';
import { formatAmount } from '../activities/money';
import type { PendingApproval } from '../workflows/approved-transfer';
import { commandLine, connect, inNamespace, Refused, standingOf } from './lib/run';

interface Options {
  readonly id: string;
  readonly vote?: 'commit' | 'abort';
  readonly reason?: string;
}

const command = new Command('approve')
  .description('Shows a transfer that waits for approval, and votes on it')
  .requiredOption('--id <id>', 'transaction id of the transfer')
  .addOption(new Option('--vote <vote>', 'the decision of the person').choices(['commit', 'abort']))
  .option('--reason <why>', 'why it is not approved; no personal data')
  .showHelpAfterError('(add --help for the options)')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

async function main(): Promise<void> {
  const { id, vote, reason } = command.parse().opts<Options>();
  let client: Client | undefined;
  let asked = false;
  try {
    client = await connect();
    const { transfer, request } = await inNamespace(pendingAt(client, id));
    const { from, to, amount, currency } = transfer;
    const sum = `${formatAmount(amount, currency)} ${currency}`;
    console.log(`${id}: ${sum} from ${from.bank}/${from.account} to ${to.bank}/${to.account}`);
    if (!vote) return console.log('Approve it with --vote commit, or decline it with --vote abort --reason <why>.');
    asked = true;
    const declined = { code: 'declined', message: reason ?? 'It was not approved.' };
    await new TransactionClient({ client })
      .vote(request, vote, vote === 'abort' ? declined : undefined)
      .catch(refuseEnded);
    console.log(`Voted ${vote}. See how it ends: ${commandLine('transfer', '--approved', '…', '--id', id)}`);
  } catch (error) {
    const unknown = asked && !(error instanceof Refused);
    const what = error instanceof Error ? error.message : String(error);
    console.error(unknown ? `It is not known whether the vote arrived: ${what}\nVote again: it counts once.` : what);
    process.exitCode = unknown ? 3 : 2;
  } finally {
    await client?.connection.close();
  }
}

/** What waits for a vote. @throws {Refused} when nothing does */
async function pendingAt(client: Client, id: string): Promise<PendingApproval> {
  const handle = new TransactionClient({ client }).handle(id);
  const status = await handle.status();
  const pending = await client.workflow
    .getHandle(id)
    .query<PendingApproval | null>('pendingApproval')
    .catch(refuseOther);
  // An ended workflow goes on answering what it asked last.
  if (status !== 'RUNNING')
    throw new Refused(
      `Nothing was changed: ${id} has ended (${await standingOf(handle)}); there is nothing to vote on.`,
    );
  if (!pending) throw new Refused(`Nothing was changed: ${id} waits for nobody's approval.`);
  return pending;
}

const refuseOther = (error: unknown): never => {
  throw error instanceof QueryNotRegisteredError
    ? new Refused('Nothing was changed: this is no transfer with --approved, and nobody has a vote on it.')
    : error;
};

/** It was there a moment ago. */
const refuseEnded = (error: unknown): never => {
  throw error instanceof TransactionNotFound
    ? new Refused(`Nothing was changed: ${error.id} has ended meanwhile; there is nothing to vote on.`)
    : error;
};

void main();
