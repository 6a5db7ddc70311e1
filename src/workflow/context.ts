/**
 * Which transaction the code that runs now belongs to, and how it reaches its branches. Protocol code asks here and never
 * the workflow itself: many transactions can run side by side in one workflow, and a transaction can have others inside it.
 */
import { CancellationScope, TemporalFailure, workflowInfo } from '@temporalio/workflow';
import { inSpan, isTraced, REQUEST_MEMO, SPAN_ATTRIBUTES, SPANS } from '../observability';
import type { SpanEnd, SpanRequest } from '../observability';
import { heritageOf, parseNewTransactionId, parseTransactionId } from '../protocol';
import type { GroupOutcome, Heritage, TransactionId, TransactionReport } from '../protocol';
import { TransactionScope, TransparentScope, UntimedScope } from './cancellation';
import { colocatedFirst } from './colocated';
import { activityDispatcher } from './dispatch';
import type { Dispatcher } from './dispatch';
import { TransactionDefinitionError } from './errors';
import { messageOf } from './failures';
import { noteBegun } from './free-step-scope';
import { heritageOfWorkflow } from './heritage';
import { Numbering } from './numbering';
import type { Try } from './numbering';
import { openInWorkflow, OpenTransaction, OpenTransactions } from './open-transactions';
import { perWorkflow } from './per-workflow';
import { rejecting } from './rejecting';

export interface TransactionContext {
  readonly id: TransactionId;
  /** Whether it is the outermost transaction: the one that the workflow's status speaks of. */
  readonly outermost: boolean;
  /** Whether its id, or that of one around it, was given to it, and not made from that of the workflow. */
  readonly named: boolean;
  /** Hash of the input of the operation that the caller started, when the caller gave one. */
  readonly request?: string;
  /** The group that has begun the transaction and handed it over to this workflow. */
  readonly inherits?: string;
  /** Whether the workflow goes on with what was begun before it. */
  readonly goesOn?: true;
  /** What was left to it. */
  readonly heritage?: Heritage;
  readonly dispatcher: Dispatcher;
  /** Says what to do when the caller withdraws. What the transaction does is cancelled by nobody else. */
  whenCancelled(withdraw: () => void): void;
  /** Does something that the caller may cancel, before the transaction has begun. */
  beforehand<T>(work: () => Promise<T>): Promise<T>;
  /** Where others can be begun inside of it: not in a group. */
  readonly inside?: Inside;
}

/** The inside of a transaction. */
export interface Inside {
  /** What was begun there. */
  readonly open: OpenTransactions;
  /** One try of a free-form step, or of its compensation. @param what which of them: what its tries begin keeps its id */
  readonly tryOf: (what: string) => Attempt;
}

/** Whoever makes it ends it when what it has begun has ended. */
export interface Attempt {
  readonly open: OpenTransactions;
  readonly run: <T>(work: () => Promise<T>) => Promise<T>;
}

/** A transaction's place in a group. */
export interface Membership {
  /**
   * Hands the transaction over to a workflow of its own, as a whole. Never returns: nothing of this copy goes on, so nothing that it
   * does can meet what the other one does.
   */
  leave(why: string): Promise<never>;
  /** Fulfilled once it has ended, or left. */
  readonly over: Promise<{ readonly outcome: GroupOutcome['kind'] }>;
  /** Waits for a moment that many may share, so that what they ask for afterwards travels together. */
  pause(): Promise<void>;
  /** How it stands. */
  show(report: TransactionReport): void;
}

interface Surroundings {
  /** What the ids of those begun here start with. */
  readonly parent: string;
  /** Counts them. */
  readonly numbers: Try;
  readonly open: OpenTransactions;
  readonly inside: boolean;
  readonly named: boolean;
  readonly request?: string;
  readonly heritage?: Heritage;
  readonly membership?: Membership;
  readonly dispatcher: Dispatcher;
}

const usual: Dispatcher = colocatedFirst(activityDispatcher);

const top = perWorkflow(surroundingsOfWorkflow);

/**
 * What runs in it is surrounded by them, for its place among the scopes: an AsyncLocalStorage of our own would be one for each workflow, and
 * Node.js 20 has every promise of all workflows that are open in a thread carry the values of each.
 *
 * No cancellation reaches what runs in it: a compensation has to run to its end, whatever it consists of.
 */
class SurroundedScope extends TransactionScope {
  constructor(readonly surroundings: Surroundings) {
    super({ cancellable: false, parent: CancellationScope.current() });
  }
}

/** The same for a part of what is surrounded by others already. */
class PartScope extends TransparentScope {
  constructor(readonly surroundings: Surroundings) {
    super(CancellationScope.current());
  }
}

/** Of the code that runs now. Undefined outside all transactions. */
function surroundings(): Surroundings | undefined {
  let scope: CancellationScope | undefined = CancellationScope.current();
  while (scope !== undefined && !(scope instanceof SurroundedScope || scope instanceof PartScope)) scope = scope.parent;
  return scope?.surroundings;
}

const within = <T>(given: Surroundings, body: () => Promise<T>): Promise<T> => new SurroundedScope(given).run(body);

/** What a transaction is called, and how it is kept atomic. */
interface Given {
  readonly id?: string | undefined;
  readonly protocol: TransactionReport['protocol'];
}

/**
 * Runs `body` as a transaction. They are numbered as chapters are. The first one of a workflow takes the workflow's id, which is short
 * for `<id>/1`; one more is `<id>/2`, `<id>/3`, …, unless it is given an id of its own. Those inside the first one are `<id>/1/1`,
 * `<id>/1/2`, …, those inside the second one `<id>/2/1`, …: no two have the same id, however deep they are.
 */
export function inTransaction<T extends Pick<TransactionReport, 'outcome'>>(
  { id, protocol }: Given,
  body: (context: TransactionContext) => Promise<T>,
): Promise<T> {
  noteBegun({ kind: 'transaction' });
  const around = surroundings() ?? top();
  const numbered = around.numbers.next();
  const { inside, request, heritage, membership: place, dispatcher } = around;
  // Its workflow of its own might not come as far as the second one, and would know nothing of it.
  if (place && numbered.number > 1) return place.leave('it runs more than one transaction');
  // Whoever looks for the workflow that goes on with what a group has begun, looks for it by the ids of its transactions.
  if (place && id !== undefined && id !== around.parent) return place.leave(`it calls a transaction ${id}`);
  const given = id ?? (!inside && numbered.number === 1 ? around.parent : undefined);
  const own =
    given === undefined ? parseTransactionId(`${around.parent}/${numbered.number}`) : parseNewTransactionId(given);
  const shared = {
    named: around.named || id !== undefined,
    dispatcher,
    ...(request === undefined ? {} : { request }),
    ...(heritage === undefined ? {} : { goesOn: true as const }),
    ...(heritage?.group === undefined || heritage.reset ? {} : { inherits: heritage.group }),
  };
  const left = heritage && heritageOf(heritage, own, !inside && own === around.parent);
  const open = new OpenTransaction(around.open);
  const inner: Surroundings | undefined = place
    ? undefined
    : {
        parent: given === undefined ? own : `${own}/1`,
        numbers: numbered.inside.tryOf('its body'),
        open: new OpenTransactions(around.open),
        inside: true,
        ...shared,
        ...(heritage === undefined ? {} : { heritage }),
      };
  const context = {
    id: own,
    outermost: !inside,
    ...shared,
    ...hearing(CancellationScope.current(), open),
    ...(left === undefined ? {} : { heritage: left }),
    ...(inner === undefined ? {} : { inside: insideOf(inner, numbered.inside) }),
  };
  const attributes = { [SPAN_ATTRIBUTES.transaction]: own, [SPAN_ATTRIBUTES.protocol]: protocol };
  const span = { name: `${SPANS.transaction}${protocol}`, attributes };
  const running = rejecting(() =>
    inner
      ? within(inner, () => inSpan(span, () => body(context), endOf))
      : amongOthers(place, span, () => body(context)),
  );
  // Before anybody hears of the end who would begin the next one.
  running.then(
    ({ outcome }) => {
      numbered.isUndone = outcome === 'compensated' || outcome === 'aborted';
      open.end();
    },
    () => open.end(),
  );
  return running;
}

/** It is the only one of the member, so what surrounds the member surrounds it, and shields it unless the member has a scope of its own. */
function amongOthers<T extends { readonly outcome: string }>(
  place: Membership | undefined,
  span: SpanRequest,
  body: () => Promise<T>,
): Promise<T> {
  const run = (): Promise<T> =>
    CancellationScope.current().cancellable
      ? new UntimedScope({ cancellable: false, parent: CancellationScope.current() }).run(body)
      : body();
  if (!isTraced() || !place) return run();
  let running!: Promise<T>;
  // Nothing goes on in a copy that has left its group, and its span would never end.
  const shown = inSpan(span, () => Promise.race([(running = run()), place.over]), endOf);
  shown.catch(() => undefined); // It is told by what runs.
  return running;
}

const insideOf = (surrounding: Surroundings, numbering: Numbering): Inside => ({
  open: surrounding.open,
  tryOf: (what) => {
    const open = new OpenTransactions(surrounding.open);
    const numbers = numbering.tryOf(what);
    return { open, run: (work) => new PartScope({ ...surrounding, open, numbers }).run(work) };
  },
});

/**
 * What whoever has begun a transaction hears of its report. Once they have ended themselves, a failure is on record only: nobody is left who
 * could handle it, and what nobody handles would fail the task of the workflow.
 */
export function heard<Report, R>(resultOf: (report: Report) => R): (report: Report) => R | Promise<never> {
  const open = surroundings()?.open ?? openInWorkflow();
  return (report) => {
    try {
      return resultOf(report);
    } catch (error) {
      if (open?.isOver) return new Promise<never>(() => undefined);
      throw error;
    }
  };
}

/** Of a cancellation of the scope around a transaction. One that cannot be cancelled hears of those around it all the same, which is not for us. */
const hearing = (
  around: CancellationScope,
  open: OpenTransaction,
): Pick<TransactionContext, 'whenCancelled' | 'beforehand'> => ({
  whenCancelled: (withdraw) => {
    if (around.cancellable) around.cancelRequested.catch(withdraw);
    open.whenWithdrawn(withdraw);
  },
  // A scope of its own: one with a timeout would begin to wait anew.
  beforehand: (work) => new UntimedScope({ cancellable: around.cancellable, parent: around }).run(work),
});

/** To be undone or aborted is what protocols are for. */
const endOf = ({ outcome }: { readonly outcome: string }): SpanEnd => ({ outcome, failed: outcome === 'mixed' });

/** Runs workflow code as if it were alone in a workflow of that id. */
export function asMember<T>(
  member: {
    readonly id: string;
    readonly request: string;
    readonly membership: Membership;
    readonly dispatcher: Dispatcher;
    readonly open: OpenTransactions;
  },
  body: () => Promise<T>,
): Promise<T> {
  const { id, ...rest } = member;
  return within({ parent: id, numbers: new Numbering().tryOf(id), inside: false, named: false, ...rest }, body);
}

/**
 * In a group: a failure that nobody waits for yet is on record, and must not fail the task of all the others. What is a bug has the
 * transaction leave, so that a workflow of its own fails.
 */
export function onRecordInGroup<T>(result: Promise<T>): Promise<T> {
  const group = membership();
  if (group)
    result.catch((error: unknown) => {
      if (!(error instanceof TemporalFailure)) void group.leave(messageOf(error));
    });
  return result;
}

/** The place in a group of the transaction that the code which runs now belongs to, if it has one. */
export const membership = (): Membership | undefined => surroundings()?.membership;

function surroundingsOfWorkflow(): Surroundings {
  const { workflowId, memo } = workflowInfo();
  const request = memo?.[REQUEST_MEMO];
  const heritage = heritageOfWorkflow();
  const open = openInWorkflow();
  if (!open)
    throw new TransactionDefinitionError(
      'Nothing was started: this bundle of workflows lacks what keeps a workflow from ending before its transactions have. Make it with ' +
        '...workflowBundleOptions() (of temporal-txn/worker) among the options of bundleWorkflowCode, or give runCoordinator workflowsPath instead of workflowBundle.',
    );
  return {
    parent: workflowId,
    numbers: new Numbering().tryOf(workflowId),
    open,
    inside: false,
    named: false,
    dispatcher: usual,
    ...(typeof request === 'string' ? { request } : {}),
    ...(heritage === undefined ? {} : { heritage }),
  };
}
