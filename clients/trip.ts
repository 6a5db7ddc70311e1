/**
 * `npm run trip -- --flight LIS-900 --room DOUBLE --car COMPACT --travellers 2` holds a trip; `npm run trip -- --id <id> --accept`
 * takes it, `--decline` gives it back. For a program: `npm run -s trip -- … --json`.
 */
import { Command, InvalidArgumentError } from 'commander';
import { WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { TransactionClient, TransactionNotFound } from 'temporal-txn/client';
import type { TransactionHandle } from 'temporal-txn/client';
import type { TripOffer } from '../workflows/book-trip';
import { commandLine, follow, Refused, run, standingOf, transactionIdOf, withRunOptions } from './lib/run';
import type { Question, RunOptions } from './lib/run';

interface Options extends RunOptions {
  readonly flight?: string;
  readonly room?: string;
  readonly car?: string;
  readonly travellers: number;
  readonly hold: number;
  readonly accept?: boolean;
  readonly decline?: boolean;
}

const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    return value;
  };

const command = withRunOptions(
  new Command('trip')
    .description('Holds a flight, a room and a car for a traveller, until she takes them or gives them back')
    .option('--flight <offer>', 'such as LIS-900')
    .option('--room <offer>', 'such as DOUBLE')
    .option('--car <offer>', 'such as COMPACT')
    .option('--travellers <number>', 'seats', wholeNumber(1, 100), 1)
    .option('--hold <seconds>', 'how long everything is held', wholeNumber(1, 86_400), 900)
    .option('--accept', 'take the trip of --id')
    .option('--decline', 'give it back'),
);

async function main(): Promise<void> {
  const options = command.parse().opts<Options>();
  if (options.accept || options.decline) return answer(options);
  const { flight, room, car, travellers, hold } = options;
  if (flight === undefined || room === undefined || car === undefined)
    return command.error('error: --flight, --room and --car are needed to hold a trip');
  const input: TripOffer = { flight, room, car, travellers, holdSeconds: hold };
  const id = transactionIdOf('bookTrip', options);
  await run({ workflow: 'bookTrip', id, input, question: wanted(id, hold) }, options);
}

/** The hold begins when everything is reserved, so it ends a little later than this says. */
const wanted = (id: string, holdSeconds: number): Question => ({
  isOpen: ({ outcome }) => outcome === 'reserved',
  tell: (startTime) =>
    `${id} is held, at least until ${new Date(startTime.getTime() + holdSeconds * 1000).toLocaleString('sv-SE')}. Then it is given back.`,
  answers: `Take it: ${commandLine('trip', '--id', id, '--accept')}, or give it back: --decline instead of --accept`,
});

async function answer({ id, accept, decline, ...options }: Options): Promise<void> {
  if (id === undefined || (accept && decline))
    return command.error('error: say which trip with --id, and either --accept or --decline');
  await follow(id, options, async (client) => {
    const handle = new TransactionClient({ client }).handle(id);
    const standing = await standingOf(handle).catch(refuseUnknown);
    if (standing !== 'reserved') throw new Refused(`Nothing was changed: ${id} is not held, it is ${standing}.`);
    await send(client, handle, { accept: accept === true });
    return handle;
  });
}

const refuseUnknown = (error: unknown): never => {
  throw error instanceof TransactionNotFound ? new Refused(error.message) : error;
};

/** @throws {Refused} when the hold has ended meanwhile */
async function send(client: Client, { id }: TransactionHandle, given: { readonly accept: boolean }): Promise<void> {
  try {
    await client.workflow.getHandle(id).executeUpdate('answerTrip', { args: [given] });
  } catch (error) {
    if (!(error instanceof WorkflowUpdateFailedError || error instanceof WorkflowNotFoundError)) throw error;
    throw new Refused(`Nothing was changed: ${id} is not held any more.`);
  }
}

void main();
