/**
 * What a history says of a transaction, drawn as lanes: one for the coordinator, one for each branch, one for the timers.
 * Of what was sent and returned, only words of the protocols are read: branch ids, votes, decisions, and who ruled.
 */
import { FailureType } from '../../protocol';
import { failureType, fieldsOf, messageOf, numberOf, textOf, valuesOf } from './history';
import type { Fields, HistoryEvent } from './history';

export interface Timeline {
  /** Workflow id, where the history says it. */
  readonly id: string;
  /** Workflow type. */
  readonly type: string;
  readonly fromMs: number;
  /** Of the last event. */
  readonly toMs: number;
  readonly events: number;
  /** How the workflow ended. Absent while it runs. */
  readonly end?: { readonly status: string; readonly message?: string };
  readonly lanes: readonly Lane[];
}

export interface Lane {
  readonly name: string;
  readonly kind: 'coordinator' | 'branch' | 'timers' | 'other';
  /** Task queue. */
  readonly participant?: string;
  readonly spans: readonly Span[];
  readonly marks: readonly Mark[];
}

/** Something that took a while: an activity, a timer, a child workflow. */
export interface Span {
  readonly kind: 'activity' | 'timer' | 'child';
  readonly label: string;
  /** When it was asked for. */
  readonly fromMs: number;
  /** When the last attempt began. */
  readonly startedMs?: number;
  readonly toMs?: number;
  readonly end: 'done' | 'refused' | 'failed' | 'timed out' | 'cancelled' | 'rang' | 'open';
  readonly attempts: number;
  /** Of the attempts before the last one. */
  readonly retried?: string;
  readonly failure?: string;
  /** What was answered, in a word of the protocol. */
  readonly note?: string;
}

/** Something that happened at one moment. */
export interface Mark {
  readonly kind: 'vote' | 'signal' | 'ruling' | 'turn' | 'trouble' | 'end';
  readonly atMs: number;
  readonly label: string;
}

type Open<T> = { -readonly [K in keyof T]: T[K] };
interface OpenLane extends Omit<Lane, 'spans' | 'marks'> {
  readonly spans: Open<Span>[];
  readonly marks: Mark[];
}

/** Where an activity stands that has not ended: the history does not hold its attempts. */
export interface Pending {
  readonly activityId: string;
  readonly attempts: number;
  readonly failure?: string;
}

/**
 * Reads a history.
 *
 * @param pending of a workflow that runs
 */
export function timelineOf(events: readonly HistoryEvent[], pending: readonly Pending[] = []): Timeline {
  return new Reader(events, pending).read();
}

class Reader {
  readonly #coordinator: OpenLane = { name: 'coordinator', kind: 'coordinator', spans: [], marks: [] };
  readonly #timers: OpenLane = { name: 'timers', kind: 'timers', spans: [], marks: [] };
  readonly #lanes = new Map<string, OpenLane>();
  /** By the number of the event that began them. */
  readonly #spans = new Map<number, Open<Span>>();
  readonly #children = new Map<string, OpenLane>();
  readonly #updates = new Map<number, string>();
  #id = '';
  #type = '';
  #end: Timeline['end'];

  constructor(
    private readonly events: readonly HistoryEvent[],
    private readonly pending: readonly Pending[],
  ) {}

  read(): Timeline {
    for (const event of this.events) this.#receive(event);
    const lanes = [this.#coordinator, ...this.#lanes.values(), this.#timers];
    return {
      id: this.#id,
      type: this.#type,
      fromMs: this.events[0]?.atMs ?? 0,
      toMs: this.events.at(-1)?.atMs ?? 0,
      events: this.events.length,
      ...(this.#end === undefined ? {} : { end: this.#end }),
      lanes: lanes.filter((lane) => lane === this.#coordinator || lane.spans.length + lane.marks.length > 0),
    };
  }

  #receive(event: HistoryEvent): void {
    const { type, attributes, atMs } = event;
    switch (type) {
      case 'workflowExecutionStarted':
        this.#id = textOf(attributes['workflowId']) ?? '';
        this.#type = textOf(fieldsOf(attributes['workflowType'])['name']) ?? '';
        return this.#mark('turn', atMs, 'started');
      case 'activityTaskScheduled':
        return this.#schedule(event);
      case 'activityTaskStarted': {
        const span = this.#spanOf(attributes, 'scheduledEventId');
        if (span === undefined) return;
        span.startedMs = atMs;
        span.attempts = numberOf(attributes['attempt']) ?? 1;
        const retried = messageOf(attributes['lastFailure']);
        if (retried !== undefined) span.retried = retried;
        return;
      }
      case 'activityTaskCompleted':
        return this.#close(attributes, 'scheduledEventId', atMs, 'done', noteOf(attributes));
      case 'activityTaskFailed': {
        const refused = failureType(attributes['failure']) === FailureType.Refusal;
        return this.#close(attributes, 'scheduledEventId', atMs, refused ? 'refused' : 'failed');
      }
      case 'activityTaskTimedOut':
        return this.#close(attributes, 'scheduledEventId', atMs, 'timed out');
      case 'activityTaskCanceled':
        return this.#close(attributes, 'scheduledEventId', atMs, 'cancelled');
      case 'timerStarted':
        return this.#open(event, this.#timers, 'timer', event.summary ?? 'timer');
      case 'timerFired':
        return this.#close(attributes, 'startedEventId', atMs, 'rang');
      case 'timerCanceled':
        return this.#close(attributes, 'startedEventId', atMs, 'cancelled');
      case 'startChildWorkflowExecutionInitiated':
        return this.#startChild(event);
      case 'startChildWorkflowExecutionFailed':
        return this.#close(attributes, 'initiatedEventId', atMs, 'failed');
      case 'childWorkflowExecutionStarted': {
        const span = this.#spanOf(attributes, 'initiatedEventId');
        if (span !== undefined) span.startedMs = atMs;
        return;
      }
      case 'childWorkflowExecutionCompleted':
        return this.#close(attributes, 'initiatedEventId', atMs, 'done');
      case 'childWorkflowExecutionFailed':
        return this.#close(attributes, 'initiatedEventId', atMs, 'failed');
      case 'childWorkflowExecutionTimedOut':
        return this.#close(attributes, 'initiatedEventId', atMs, 'timed out');
      case 'childWorkflowExecutionCanceled':
      case 'childWorkflowExecutionTerminated':
        return this.#close(attributes, 'initiatedEventId', atMs, 'cancelled');
      case 'signalExternalWorkflowExecutionInitiated':
        return this.#signalOut(attributes, atMs);
      case 'workflowExecutionSignaled':
        return this.#signal(attributes, atMs);
      case 'workflowExecutionUpdateAccepted':
        return this.#update(event);
      case 'workflowExecutionUpdateCompleted':
        return this.#updated(attributes, atMs);
      case 'workflowExecutionCancelRequested':
        return this.#mark('turn', atMs, 'asked to turn back (cancelled)');
      case 'workflowTaskFailed':
        return this.#mark('trouble', atMs, `workflow task failed: ${messageOf(attributes['failure']) ?? 'no message'}`);
      case 'workflowTaskTimedOut':
        return this.#mark('trouble', atMs, 'workflow task timed out: its worker was away');
      default:
        return this.#ends(event);
    }
  }

  #mark(kind: Mark['kind'], atMs: number, label: string, lane = this.#coordinator): void {
    lane.marks.push({ kind, atMs, label });
  }

  #laneOf(transaction: string | undefined, branch: string, kind: Lane['kind'], participant?: string): OpenLane {
    // Several transactions of one workflow may have branches of one name.
    const other = transaction === undefined || transaction === this.#id ? '' : transaction;
    const key = `${other}\n${branch}`;
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const name = other === '' ? branch : `${branch} of ${other}`;
    const lane: OpenLane = {
      name,
      kind,
      ...(participant === undefined ? {} : { participant }),
      spans: [],
      marks: [],
    };
    this.#lanes.set(key, lane);
    return lane;
  }

  #schedule(event: HistoryEvent): void {
    const { attributes } = event;
    const type = textOf(fieldsOf(attributes['activityType'])['name']) ?? 'activity';
    const queue = textOf(fieldsOf(attributes['taskQueue'])['name']);
    const [request] = valuesOf(attributes['input']).map(fieldsOf);
    const branch = textOf(request?.['branch']);
    const lane =
      branch === undefined
        ? this.#laneOf(undefined, queue ?? type, 'other', queue)
        : this.#laneOf(textOf(request?.['transaction']), branch, 'branch', queue);
    this.#open(event, lane, 'activity', type);
  }

  #open({ id, atMs, attributes }: HistoryEvent, lane: OpenLane, kind: Span['kind'], label: string): void {
    const pending = this.pending.find(({ activityId }) => activityId === attributes['activityId']);
    const span: Open<Span> = {
      kind,
      label,
      fromMs: atMs,
      end: 'open',
      attempts: kind === 'activity' ? (pending?.attempts ?? 0) : 1,
      ...(pending?.failure === undefined ? {} : { retried: pending.failure }),
    };
    this.#spans.set(id, span);
    lane.spans.push(span);
  }

  #spanOf(attributes: Fields, by: string): Open<Span> | undefined {
    return this.#spans.get(numberOf(attributes[by]) ?? -1);
  }

  #close(attributes: Fields, by: string, atMs: number, end: Span['end'], note?: string): void {
    const span = this.#spanOf(attributes, by);
    if (span === undefined) return;
    span.toMs = atMs;
    span.end = end;
    const failure = messageOf(attributes['failure']);
    if (failure !== undefined) span.failure = failure;
    if (note !== undefined) span.note = note;
  }

  #startChild(event: HistoryEvent): void {
    const { attributes } = event;
    const workflowId = textOf(attributes['workflowId']) ?? 'child';
    const [request] = valuesOf(attributes['input']).map(fieldsOf);
    const branch = textOf(request?.['branch']);
    const queue = textOf(fieldsOf(attributes['taskQueue'])['name']);
    const lane = this.#laneOf(
      textOf(request?.['transaction']),
      branch ?? workflowId,
      branch === undefined ? 'other' : 'branch',
      queue,
    );
    this.#children.set(workflowId, lane);
    this.#open(event, lane, 'child', textOf(fieldsOf(attributes['workflowType'])['name']) ?? 'child workflow');
  }

  #signalOut(attributes: Fields, atMs: number): void {
    const to = textOf(fieldsOf(attributes['workflowExecution'])['workflowId']) ?? '';
    const name = textOf(attributes['signalName']) ?? 'signal';
    const lane = this.#children.get(to);
    this.#mark('signal', atMs, lane ? `told ${name}` : `signal ${name} to ${to}`, lane);
  }

  #signal(attributes: Fields, atMs: number): void {
    const name = textOf(attributes['signalName']) ?? 'signal';
    const [message] = valuesOf(attributes['input']).map(fieldsOf);
    const branch = textOf(message?.['branch']);
    const lane = branch === undefined ? undefined : this.#known(textOf(message?.['transaction']), branch);
    if (name === 'vote' && branch !== undefined)
      return this.#mark(
        'vote',
        atMs,
        `vote ${wordOf(message?.['vote']) ?? 'unreadable'}${lane ? '' : ` of ${branch}`}`,
        lane,
      );
    const state = message?.['state'] === 'pre-committed' ? ' pre-committed' : '';
    this.#mark('signal', atMs, `signal ${name}${state}${lane || branch === undefined ? '' : ` of ${branch}`}`, lane);
  }

  /** Anybody can signal: a branch that nobody was asked for gets no lane of its own. */
  #known(transaction: string | undefined, branch: string): OpenLane | undefined {
    const other = transaction === undefined || transaction === this.#id ? '' : transaction;
    return this.#lanes.get(`${other}\n${branch}`);
  }

  #update({ id, atMs, attributes }: HistoryEvent): void {
    const input = fieldsOf(fieldsOf(attributes['acceptedRequest'])['input']);
    const name = textOf(input['name']) ?? 'update';
    this.#updates.set(id, name);
    const [ruling] = valuesOf(input['args']).map(fieldsOf);
    const step = textOf(ruling?.['step']);
    if (step === undefined) return this.#mark('ruling', atMs, `update ${name}`);
    const who = textOf(ruling?.['by']) ?? 'nobody named';
    const why = textOf(ruling?.['reason']);
    this.#mark('ruling', atMs, `${name} of ${step} by ${who}${why === undefined ? '' : `: ${why}`}`);
  }

  #updated(attributes: Fields, atMs: number): void {
    const failure = messageOf(fieldsOf(attributes['outcome'])['failure']);
    if (failure === undefined) return;
    const name = this.#updates.get(numberOf(attributes['acceptedEventId']) ?? -1) ?? 'update';
    this.#mark('trouble', atMs, `${name} failed: ${failure}`);
  }

  #ends({ type, atMs, attributes }: HistoryEvent): void {
    const status = ENDS[type];
    if (status === undefined) return;
    // Its own words: what caused it is in the lanes.
    const told = textOf(fieldsOf(attributes['failure'])['message']) ?? textOf(attributes['reason']);
    this.#end = { status, ...(told === undefined ? {} : { message: told }) };
    this.#mark('end', atMs, told === undefined ? status : `${status}: ${told}`);
  }
}

const ENDS: Readonly<Record<string, string>> = {
  workflowExecutionCompleted: 'completed',
  workflowExecutionFailed: 'failed',
  workflowExecutionTimedOut: 'timed out',
  workflowExecutionCanceled: 'cancelled',
  workflowExecutionTerminated: 'terminated',
  workflowExecutionContinuedAsNew: 'continued as new',
};

const WORDS = ['commit', 'abort', 'read-only', 'applied-before'] as const;

/** A result may hold anything; only words of the protocols are told. */
const wordOf = (value: unknown): (typeof WORDS)[number] | undefined => WORDS.find((word) => word === value);

function noteOf(attributes: Fields): string | undefined {
  const [answer] = valuesOf(attributes['result']).map(fieldsOf);
  const decision = wordOf(answer?.['decision']);
  if (decision !== undefined) return `decided ${decision}`;
  const vote = wordOf(answer?.['vote']);
  if (vote !== undefined) return `vote ${vote}`;
  return answer?.['answer'] === 'applied-before' ? 'it was done before' : undefined;
}
