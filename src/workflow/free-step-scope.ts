/**
 * What the code of a free-form step has begun. A failure says what became of the one thing that it is the failure of: who books two seats,
 * and is refused the second one, has booked a seat.
 */
import { ActivityFailure, ApplicationFailure, CancellationScope, ChildWorkflowFailure } from '@temporalio/workflow';
import type { WorkflowOutboundCallsInterceptor } from '@temporalio/workflow';
import { FailureType, WHO_IS_AWAY } from '../protocol';
import { TransactionScope, TransparentScope } from './cancellation';
import { perWorkflow } from './per-workflow';
import { overhear } from './sdk';

type Begun =
  { readonly kind: 'activity' | 'transaction' | 'other' } | { readonly kind: 'child'; readonly workflow: string };

/** Where one attempt of a free-form step runs. */
export class FreeStepScope extends TransparentScope {
  readonly #begun: Begun[] = [];

  constructor() {
    super(CancellationScope.current());
    if (!isOverheard()) this.note({ kind: 'other' });
  }

  note(begun: Begun): void {
    this.#begun.push(begun);
  }

  /** Whether a failure that says that something did nothing says it of all that was begun. */
  isToldBy(failure: unknown): boolean {
    const [only, another] = this.#begun;
    if (another) return false;
    switch (only?.kind) {
      case undefined:
        return true;
      case 'activity':
        return failure instanceof ActivityFailure;
      case 'transaction':
        return isEndOfTransaction(failure);
      case 'child':
        return failure instanceof ChildWorkflowFailure && isEndOfTransaction(failure.cause, only.workflow);
      case 'other':
        return false;
    }
  }
}

/** @param id of a transaction that has a report */
function isEndOfTransaction(failure: unknown, id?: string): boolean {
  if (!(failure instanceof ApplicationFailure)) return false;
  const { type, details } = failure;
  const isReported = type === FailureType.TransactionCompensated || type === FailureType.TransactionAborted;
  if (id === undefined) return isReported || type === FailureType.NotAttempted;
  return isReported && (details?.[0] as { readonly id?: unknown } | null | undefined)?.id === id;
}

/** A step in whose code something was begun, if it was not begun by a transaction in there. */
function stepAround(): FreeStepScope | undefined {
  let scope: CancellationScope | undefined = CancellationScope.current();
  while (scope !== undefined && !(scope instanceof FreeStepScope || scope instanceof TransactionScope))
    scope = scope.parent;
  return scope instanceof FreeStepScope ? scope : undefined;
}

export const noteBegun = (begun: Begun): void => stepAround()?.note(begun);

/** Temporal hands it on as it comes, with no turn more. What has no effect of its own, such as a timer, is not noted. */
const INTERCEPTOR: WorkflowOutboundCallsInterceptor = {
  scheduleActivity: (input, next) => {
    if (input.activityType !== WHO_IS_AWAY) noteBegun({ kind: 'activity' });
    return next(input);
  },
  scheduleLocalActivity: (input, next) => {
    if (input.activityType !== WHO_IS_AWAY) noteBegun({ kind: 'activity' });
    return next(input);
  },
  startChildWorkflowExecution: (input, next) => {
    noteBegun({ kind: 'child', workflow: input.options.workflowId });
    return next(input);
  },
  startNexusOperation: (input, next) => {
    noteBegun({ kind: 'other' });
    return next(input);
  },
  signalWorkflow: (input, next) => {
    noteBegun({ kind: 'other' });
    return next(input);
  },
};

const watch = perWorkflow<{ isOverheard?: boolean }>(() => ({}));

const isOverheard = (): boolean => (watch().isOverheard ??= overhear(INTERCEPTOR));
