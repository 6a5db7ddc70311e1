/**
 * The errors of the client room. Each says first what is known of the transaction, because that is what the caller has to
 * act on: an error while waiting is no answer about the money.
 */
import type { SearchAttributeType } from '../observability';
import { show } from '../protocol';
import type { Away, SagaReport, TransactionReport } from '../protocol';

/** A transaction ended without committing. */
export class TransactionFailed extends Error {
  override readonly name: string = 'TransactionFailed';

  constructor(
    readonly id: string,
    message: string,
    /** Every step or branch with its fate, when the transaction left a report. */
    readonly report?: TransactionReport,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Everything that the transaction did was undone. */
export class TransactionCompensated extends TransactionFailed {
  override readonly name = 'TransactionCompensated';
  declare readonly report?: SagaReport;
}

/** Nothing of the transaction took effect: a branch voted to abort, a vote did not come, or it was cancelled. */
export class TransactionAborted extends TransactionFailed {
  override readonly name: string = 'TransactionAborted';
  declare readonly report?: Exclude<TransactionReport, SagaReport>;
}

/**
 * With `failFast`: a participant was known to be away, so the transaction did not begin. It may be started again with the same id
 * and input.
 */
export class TransactionNotAttempted extends TransactionFailed {
  override readonly name = 'TransactionNotAttempted';

  constructor(
    id: string,
    message: string,
    /** Who, and in how many milliseconds it is worth trying again. */
    readonly away: readonly Away[],
    options?: ErrorOptions,
  ) {
    super(id, message, undefined, options);
  }
}

/**
 * Nothing took effect, because a participant did not vote in time, or something that it calls was known to be away. Trying it
 * again later, under a new id, may well succeed.
 */
export class ParticipantUnavailable extends TransactionAborted {
  override readonly name: string = 'ParticipantUnavailable';
}

/** Some effects of the transaction stay and others do not. */
export class TransactionMixed extends TransactionFailed {
  override readonly name = 'TransactionMixed';
}

/** The workflow was terminated or ran into a run timeout: no code of it ran any more, and what it did stands as it is. */
export class TransactionInterrupted extends TransactionFailed {
  override readonly name = 'TransactionInterrupted';

  constructor(id: string, how: 'terminated' | 'timed out' | 'ended with its group', options?: ErrorOptions) {
    super(
      id,
      `Transaction ${id} was ${how}: the steps of a saga that were done stand, and what two-phase commit has prepared is finished by recovery. ` +
        (how === 'ended with its group'
          ? 'Execute it again with the same id and input'
          : 'Resume it with the same input (client.resume)') +
        ': what was done answers from the branch log, and it goes on from there.',
      undefined,
      options,
    );
  }
}

/** The id belongs to a transaction with another input. */
export class TransactionInputMismatch extends Error {
  override readonly name = 'TransactionInputMismatch';

  constructor(
    readonly id: string,
    what: 'input' | 'workflow type',
    options?: ErrorOptions,
  ) {
    super(
      `Nothing was changed: transaction ${id} exists with another ${what}, and stands. An id names one business operation: ` +
        'use a new id for a new one, or the same input to get the result of this one.',
      options,
    );
  }
}

/** The input of a transaction is not what JSON can carry as it is. */
export class InvalidInput extends Error {
  override readonly name = 'InvalidInput';

  constructor(
    readonly id: string,
    /** Which part of it, such as `.items[3].price`; empty for all of it. */
    readonly at: string,
    readonly problem: string,
  ) {
    super(
      `Nothing was started: the input of transaction ${id}${at === '' ? '' : ` at ${at}`} ${problem}. Use plain objects, lists, texts, ` +
        'finite numbers, booleans and null, 2000000 bytes of JSON at most.',
    );
  }
}

/**
 * Temporal has answered, and this process cannot read the answer: its keys or its codec are not those of the deployment. The
 * transaction may have committed.
 */
export class AnswerUnreadable extends Error {
  override readonly name = 'AnswerUnreadable';

  constructor(
    readonly id: string,
    /** What the codec or the converter says. */
    override readonly cause: unknown,
  ) {
    super(
      `It is not known what became of transaction ${id}: what Temporal answers cannot be read here ` +
        `(${cause instanceof Error ? cause.message : String(cause)}). Give this process the keys of the deployment and ask again, with ` +
        'the same id: under another one it would be done twice.',
      { cause },
    );
  }
}

/**
 * Temporal has no workflow of that id: there is no such transaction, or it travels in a group or has ended in one, or its workflow is past
 * Temporal's retention. So it may have committed.
 */
export class TransactionNotFound extends Error {
  override readonly name = 'TransactionNotFound';

  constructor(readonly id: string) {
    super(
      `It is not known whether transaction ${id} has changed anything: Temporal knows no workflow of that id. It was never started, travels ` +
        "in a group or has ended in one, or ended longer ago than the namespace's retention. Execute it again with the same id and input: " +
        'that never does anything twice, answers what it came to, and does it now if it was never started. Or only look: ' +
        `temporal-txn show ${id}.`,
    );
  }
}

/** A transaction cannot be resumed because it was not interrupted. */
export class TransactionNotInterrupted extends Error {
  override readonly name = 'TransactionNotInterrupted';

  constructor(
    readonly id: string,
    readonly status: string,
  ) {
    super(
      `Nothing was started: transaction ${id} is ${status}, so there is nothing to resume. Await it with client.handle(id).result().`,
    );
  }
}

/** An update was sent that the transaction did not accept. */
export class RulingRefused extends Error {
  override readonly name = 'RulingRefused';
}

/** Temporal answers, and no worker of the workflow does, which alone can tell how a transaction stands. */
export class NoWorkerAnswers extends Error {
  override readonly name = 'NoWorkerAnswers';

  constructor(
    readonly id: string,
    /** Where one is missing. */
    readonly taskQueue: string,
    /** How long they had to answer. */
    readonly timeoutMs: number,
    options?: ErrorOptions,
  ) {
    super(
      `It is not known how transaction ${id} stands: no worker of task queue ${show(taskQueue)} answers within ${timeoutMs} ms, and only one ` +
        'can tell. Start one (runCoordinator), then ask again. How it has ended is told without one: client.handle(id).result().',
      options,
    );
  }
}

/** Temporal did not answer for as long as the client is patient. */
export class TemporalUnavailable extends Error {
  override readonly name = 'TemporalUnavailable';

  constructor(
    readonly id: string,
    /** `nothing`: nothing was changed; `unknown`: what was asked may have been done. */
    readonly changed: 'nothing' | 'unknown',
    options?: ErrorOptions,
  ) {
    super(
      (changed === 'nothing' ? 'Nothing was changed' : `It is not known whether anything was changed`) +
        `: Temporal does not answer, and transaction ${id} was asked about. What has been started goes on when Temporal is back. ` +
        'Ask again with the same id: that never does anything twice.',
      options,
    );
  }
}

/** The caller's time is up. The transaction goes on, unless it still waited for its place in a group. */
export class TransactionTimeout extends Error {
  override readonly name = 'TransactionTimeout';

  constructor(
    readonly id: string,
    readonly timeoutMs: number,
    /**
     * Where it was: in a workflow of its own, in a group, or in the queue of this client. That it has left, unless another caller of the
     * same id waits for it there.
     */
    readonly where: 'workflow' | 'group' | 'queue' | 'queue of another caller' = 'workflow',
  ) {
    super(tellTimeout(id, timeoutMs, where));
  }
}

function tellTimeout(id: string, timeoutMs: number, where: TransactionTimeout['where']): string {
  const noPlace = `transaction ${id} did not get its place in a group within ${timeoutMs} ms`;
  const notOver = `It is not known how transaction ${id} ends: it was not over within ${timeoutMs} ms, and goes on.`;
  switch (where) {
    case 'queue':
      return `Nothing was started: ${noPlace}. Execute it again with the same id.`;
    case 'queue of another caller':
      return (
        `Nothing was started yet: ${noPlace}. Another caller waits for it, so it may start. ` +
        'Execute it again with the same id and input: that never does anything twice, and gives its result.'
      );
    case 'group':
      return `${notOver} Execute it again with the same id and input: that never does anything twice, and gives its result.`;
    case 'workflow':
      return `${notOver} Await it with client.handle(id).result(), or turn it back with cancel().`;
  }
}

/** A client has as many transactions of this type, or of this tenant, under way as it has room for. */
export class QueueFull extends Error {
  override readonly name = 'QueueFull';

  constructor(
    readonly id: string,
    /** How many there are: of all tenants, or of this one. */
    readonly limit: number,
    /** The one that has its share; empty: those that name none. */
    readonly tenant?: string,
  ) {
    const whose =
      tenant === undefined
        ? 'of its type'
        : `of its type ${tenant === '' ? 'without a tenant' : `of tenant ${show(tenant)}`}`;
    super(
      `Nothing was started: transaction ${id} found no room, ${limit} ${whose} are under way already. ` +
        'Execute it again later with the same id; if it stays like this, submit fewer, run more workers, or raise grouping.queueLimit.',
    );
  }
}

/** The client was closed: it takes nothing more, and lets go of what had not begun when the time for that was up. */
export class ClientClosed extends Error {
  override readonly name = 'ClientClosed';

  constructor(
    readonly id: string,
    /** When it was: before the transaction came, or while it waited for its place in a group. */
    when: 'before' | 'meanwhile' = 'before',
  ) {
    super(
      when === 'before'
        ? `Nothing was started: transaction ${id} came after this client was closed. Execute it with another one.`
        : `Nothing was started: this client was closed before transaction ${id} had its place in a group. Execute it again with another ` +
            'one, with the same id.',
    );
  }
}

/** The client was closed while the transaction was under way. What was started goes on without it. */
export class TransactionGoesOn extends Error {
  override readonly name = 'TransactionGoesOn';

  constructor(
    readonly id: string,
    /** Where it was: in a workflow of its own, under its id, or in a group. */
    readonly where: 'workflow' | 'group',
  ) {
    super(
      `It is not known how transaction ${id} ends: this client was closed while it was under way` +
        (where === 'workflow'
          ? ', and it goes on as a workflow of its own, under its id. Await it with client.handle(id).result() of another one.'
          : ' in a group, and what was begun goes on. Execute it again with another one, with the same id and input: that never does ' +
            'anything twice, and gives its result.'),
    );
  }
}

/** How transactions are grouped is out of range. */
export class InvalidGrouping extends Error {
  override readonly name = 'InvalidGrouping';

  constructor(
    readonly option: string,
    readonly value: unknown,
    allowed: string,
  ) {
    super(`Nothing was started: grouping.${option} is ${show(value)}. Use ${allowed}.`);
  }
}

/** How patient a client or a caller is, is no number of milliseconds. */
export class InvalidPatience extends Error {
  override readonly name = 'InvalidPatience';

  constructor(readonly value: unknown) {
    super(
      `Nothing was started: ${show(value)} is no time to wait. Use whole milliseconds from 0 to 86400000, which is a day.`,
    );
  }
}

/** Temporal would be reached over a network in plain text: whoever is on it could forge signals. */
export class InsecureTemporalConnection extends Error {
  override readonly name = 'InsecureTemporalConnection';

  constructor(
    readonly address: string,
    /** What is configured. */
    readonly configured:
      'neither TLS nor an API key' | 'an API key without TLS' | 'an authorization header without TLS',
  ) {
    super(`Nothing was started: ${show(address)} is not on this machine and ${INSECURE[configured]}`);
  }
}

const INSECURE: Readonly<Record<InsecureTemporalConnection['configured'], string>> = {
  'neither TLS nor an API key':
    'neither TLS nor an API key is configured, so anyone on the network could steer transactions. Configure TLS (TEMPORAL_TLS…) or an ' +
    'API key (TEMPORAL_API_KEY), or set TXN_ALLOW_INSECURE=1 (or TXN_ALLOW_INSECURE=temporal) for a private network.',
  'an API key without TLS':
    'TLS is switched off, so the API key would be sent for anyone on the network to read. Leave TEMPORAL_TLS and tls.disabled out: ' +
    'with an API key TLS is on.',
  'an authorization header without TLS':
    'TLS is off, so the header of TEMPORAL_GRPC_META_AUTHORIZATION (or grpc_meta) would be sent for anyone on the network to read. ' +
    'Configure TLS (TEMPORAL_TLS=true), or give the key as TEMPORAL_API_KEY.',
};

/** The settings of Temporal cannot be read, or contradict each other. Values are never shown: they hold keys. */
export class InvalidTemporalSettings extends Error {
  override readonly name = 'InvalidTemporalSettings';

  constructor(problem: string, remedy: string) {
    super(`Nothing was started: in the settings of Temporal, ${problem}. ${remedy}`);
  }
}

/** There is no data converter where one was named, or it holds what it cannot. */
export class InvalidDataConverter extends Error {
  override readonly name = 'InvalidDataConverter';

  constructor(problem: string, remedy: string) {
    super(`Nothing was started: ${problem.charAt(0).toLowerCase()}${problem.slice(1)}. ${remedy}`);
  }
}

/** No connection to Temporal came about. */
export class TemporalUnreachable extends Error {
  override readonly name = 'TemporalUnreachable';

  constructor(
    readonly address: string,
    /** In the words of the network, or of TLS. */
    readonly why: string,
    options?: ErrorOptions,
  ) {
    super(
      `Nothing was started: no connection to Temporal at ${show(address)}: ${why}. Check TEMPORAL_ADDRESS, that the server runs, and ` +
        'with TLS the certificates (TEMPORAL_TLS…).',
      options,
    );
  }
}

/** The types as the Temporal CLI calls them. */
export const CLI_TYPES: Readonly<Record<SearchAttributeType, string>> = {
  KEYWORD: 'Keyword',
  KEYWORD_LIST: 'KeywordList',
  BOOL: 'Bool',
};

/** Search attributes are missing: the first workflow that sets one would stall without a word. */
export class SearchAttributesMissing extends Error {
  override readonly name = 'SearchAttributesMissing';

  constructor(
    readonly missing: readonly { readonly name: string; readonly type: SearchAttributeType }[],
    namespace: string,
  ) {
    const commands = missing.map(
      ({ name, type }) =>
        `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type ${CLI_TYPES[type]}`,
    );
    super(
      `Nothing was started: namespace ${namespace} lacks search attributes. Register them:\n${commands.join('\n')}\n` +
        `On Temporal Cloud, in its console, or:\ntcld namespace search-attributes add --namespace ${namespace} ` +
        missing.map(({ name, type }) => `--search-attribute ${name}=${CLI_TYPES[type]}`).join(' '),
    );
  }
}
