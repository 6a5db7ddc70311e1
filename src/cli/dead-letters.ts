/**
 * The commands `dead-letters` and `dead-letter`: which events could not be published, with what is parked behind them, and what a
 * person does about one.
 */
import {
  DeadLetterPublishedError,
  deadLetters,
  editDeadLetter,
  outboxStatus,
  retryDeadLetter,
  skipDeadLetter,
} from '../outbox';
import type { DeadLetter, Intervention, Json, OutboxStatus } from '../outbox';
import { databaseNamed, reach, tellFailure } from './databases';
import type { Database, Unreachable } from './databases';
import { DatabaseUnavailable, InvalidArgument } from './errors';
import { ExitCode } from './exit-code';
import { age, count, printable, quoted } from './printable';
import { block } from './table';
import type { Answer } from './table';

interface ServiceLetters {
  readonly service: string;
  readonly status: OutboxStatus;
  readonly letters: readonly DeadLetter[];
}

/** Lists the dead letters of all services, or of one. */
export async function listDeadLetters(databases: readonly Database[], service: string | undefined): Promise<Answer> {
  const asked = service === undefined ? databases : [databaseNamed(databases, service)];
  const { reached, unreachable } = await reach(asked);
  const found: ServiceLetters[] = [];
  const failed: Unreachable[] = [...unreachable];
  for (const database of reached) {
    const { participant, pool } = database;
    try {
      found.push({
        service: participant,
        status: await outboxStatus(pool),
        letters: await deadLetters(pool, { limit: MOST }),
      });
    } catch (error) {
      failed.push({ participant, why: tellFailure(database, error) });
    }
  }
  const any = found.some(({ letters }) => letters.length > 0);
  const incomplete = failed.length > 0 ? ExitCode.Incomplete : ExitCode.Well;
  return {
    exitCode: any ? ExitCode.NeedsPerson : incomplete,
    text: tell(found, failed),
    json: { services: found, notLookedAt: failed },
  };
}

const MOST = 100;

function tell(found: readonly ServiceLetters[], failed: readonly Unreachable[]): string {
  const keys = found.reduce((sum, { status }) => sum + status.deadLetters, 0);
  return [
    keys === 0
      ? 'Nothing needs a person: no key is parked.'
      : `A person is needed: ${count(keys, 'key')} parked at an event that cannot be published. All other keys go on.`,
    ...found.map(({ service, status }) =>
      block(service, [
        ['waiting', `${count(status.pending, 'event')}, the oldest for ${age(status.oldestMs)}`],
        ['parked', `${count(status.parked, 'event')} of ${count(status.deadLetters, 'key')}`],
      ]),
    ),
    ...found.flatMap(({ service, letters }) => letters.map((letter) => tellLetter(service, letter))),
    ...found
      .filter(({ status, letters }) => status.deadLetters > letters.length)
      .map(({ service, status }) => `Shown of ${service}: the first ${MOST} of ${status.deadLetters}.`),
    ...failed.map(({ participant, why }) => `Not looked at: ${participant}. ${why}`),
  ].join('\n\n');
}

function tellLetter(
  service: string,
  { key, version, eventId, type, attempts, error, parkedAt, waiting }: DeadLetter,
): string {
  const command = `temporal-txn dead-letter ${service} ${quoted(key)} --event-version ${version}`;
  return block(`${service}, key ${printable(key)}`, [
    ['event', `${eventId === '' ? 'is gone' : `${printable(type)} ${printable(eventId)}`}, version ${version}`],
    [
      'parked',
      `${parkedAt.toISOString()}, after ${count(attempts, 'attempt')}; ${count(waiting, 'event')} in all at this key`,
    ],
    ['because', printable(error)],
    ['when mended', `${command} --retry --by <who> --reason <why> --apply`],
    ['or leave it out', `${command} --skip --by <who> --reason <why> --apply`],
  ]);
}

export interface DeadLetterRequest extends Intervention {
  readonly service: string;
  /** The data in JSON: an edit. */
  readonly act: 'retry' | 'skip' | { readonly data: string };
  readonly mode: 'dry-run' | 'apply';
}

/**
 * Does something about one dead letter, or says what it would do.
 *
 * @throws {InvalidArgument} when there is none, the data is no JSON, or it is too late for other data
 * @throws {DatabaseUnavailable}
 */
export async function settleDeadLetter(databases: readonly Database[], request: DeadLetterRequest): Promise<Answer> {
  const { service, key, version, act, mode } = request;
  const database = databaseNamed(databases, service);
  const { unreachable } = await reach([database]);
  for (const { why } of unreachable) throw new DatabaseUnavailable(service, why);
  const data = typeof act === 'object' ? parseJson(act.data) : undefined;
  const letters = await deadLetters(database.pool, { key });
  const letter = letters.find((found) => found.version === version);
  if (!letter)
    throw new InvalidArgument(
      'the dead letter',
      `${key} ${version}`,
      `There is none at ${service}: see temporal-txn dead-letters ${service}.`,
    );
  const what = WHAT[typeof act === 'object' ? 'edit' : act];
  if (mode === 'dry-run')
    return {
      exitCode: ExitCode.NeedsPerson,
      text: `Nothing was changed. With --apply, ${what}.\n\n${tellLetter(service, letter)}`,
      json: { changed: false, letter },
    };
  if (act === 'retry') await retryDeadLetter(database.pool, request);
  else if (act === 'skip') await skipDeadLetter(database.pool, request);
  else await edit(database, request, data as Json); // Cast: parsed as JSON.
  return {
    exitCode: ExitCode.Well,
    text: `Done: ${what}. It is kept in txn.outbox_intervention, with your name and reason.`,
    json: { changed: true, letter },
  };
}

async function edit({ pool }: Database, request: DeadLetterRequest, data: Json): Promise<void> {
  try {
    await editDeadLetter(pool, { ...request, data });
  } catch (error) {
    if (!(error instanceof DeadLetterPublishedError)) throw error;
    throw new InvalidArgument(
      'the dead letter',
      `${error.key} ${error.version}`,
      'It was published already, so no other data of it would be: leave it out, with --skip.',
    );
  }
}

const WHAT = {
  retry: 'the event and those behind it are published again',
  skip: 'the event is left out, and those behind it are published',
  edit: 'the event has the new data, and it and those behind it are published',
};

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new InvalidArgument('--data', text, 'Give JSON, in quotes for the shell.');
  }
}
