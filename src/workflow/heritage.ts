/**
 * What this workflow takes over from groups, and from earlier runs of itself: by its memo where one of them has led to it, and by signal where
 * it was there before. A saga that ends answers for all of it, see {@link SagaRun}; in the other protocols the register does.
 *
 * And what it would leave itself: a client that resumes a transaction asks the terminated run what that had asked for.
 */
import { defineQuery, defineSignal, patched, setHandler, workflowInfo } from '@temporalio/workflow';
import { HERITAGE_MEMO } from '../observability';
import { ASKED_QUERY, INHERIT_SIGNAL, readHeritage } from '../protocol';
import type { AskedFor, AskedStep, ExecuteAnswer, Heritage, TransactionId } from '../protocol';
import { SagaDefinitionError } from './errors';
import { outside } from './outside';
import { perWorkflow } from './per-workflow';

const inheritSignal = defineSignal<[unknown]>(INHERIT_SIGNAL);
const askedQuery = defineQuery<readonly AskedFor[]>(ASKED_QUERY);

/** What was left to this workflow when it was started. */
export const heritageOfWorkflow = (): Heritage | undefined => readHeritage(workflowInfo().memo?.[HERITAGE_MEMO]);

export class Inherited {
  readonly #asked = new Map<string, AskedStep>();
  /** Those whose doings it knows. */
  readonly #groups = new Set<string>();
  /** Others that have done something which it was asked to do. */
  readonly #strangers = new Set<string>();
  #more = false;
  readonly #resumed: readonly string[];
  /** Whether there is nothing to be done any more but to undo it. */
  readonly undo: boolean;

  constructor(heritage: Heritage | undefined) {
    this.undo = heritage?.undo === true;
    this.#resumed = heritage?.resumed ?? [];
    this.#add(heritage);
  }

  /** Whether all is known that has been asked for in this transaction, by whomever. */
  get isComplete(): boolean {
    return !this.#more && [...this.#strangers].every((stranger) => this.#groups.has(stranger));
  }

  /**
   * Hears of what other groups leave to it, until it has ended: a signal that comes at the last moment has the end worked out again.
   *
   * @param heard called when it has heard of something
   */
  listen(heard: () => void): void {
    const hear = (given: unknown): void => {
      try {
        this.#add(readHeritage(given));
      } catch {
        // It cannot be read; that something was left it says all the same.
        this.#more = true;
      }
      heard();
    };
    outside(() =>
      setHandler(inheritSignal, hear, {
        description: 'What a group has asked for in this transaction before it left it to this workflow',
      }),
    );
  }

  /** Notes who had done what it has asked for. */
  met({ by, earlier }: Pick<ExecuteAnswer, 'by' | 'earlier'>): void {
    if (by !== undefined) this.#strangers.add(by);
    else if (earlier !== undefined && !this.#resumed.includes(earlier)) this.#strangers.add(earlier);
  }

  /** What is inherited of a branch. */
  of(branch: string): AskedStep | undefined {
    return this.#asked.get(branch);
  }

  /** What `isMet` is not true of, in the order in which it was asked for. What was met once is met for ever. */
  except(isMet: (step: AskedStep) => boolean): readonly AskedStep[] {
    for (const [branch, step] of this.#asked) if (isMet(step)) this.#asked.delete(branch);
    return [...this.#asked.values()];
  }

  #add(heritage: Heritage | undefined): void {
    const { group, reset, more } = heritage ?? {};
    if (group !== undefined && !reset) this.#groups.add(group);
    // What its first run has left already is all there is.
    const hasGaps = reset && (group === undefined || !this.#groups.has(group));
    if (more || hasGaps) this.#more = true;
    for (const step of heritage?.asked ?? []) this.#asked.set(step.branch, step);
  }
}

const sagas = perWorkflow(() => new Map<TransactionId, () => AskedFor>());

/** Has a saga of this workflow tell what it has asked for. */
export function tellAsked(id: TransactionId, tell: () => AskedFor): void {
  const telling = sagas();
  if (telling.size === 0)
    setHandler(askedQuery, () => [...telling.values()].map((each) => each()), {
      description: 'What each saga of this workflow has asked for, for a client that resumes it',
    });
  telling.set(id, tell);
}

/**
 * Whether another saga of that id has committed in this workflow, or may. What it has done is not for a later one to undo; the version before
 * did that, which is replayed as it was.
 */
export function mayHaveCommittedHere(id: TransactionId): boolean {
  const told = sagas().get(id)?.();
  return told !== undefined && !(told.ended && told.undo) && patched('temporal-txn-committed-here');
}

/**
 * A run that continues another one, as new or on a schedule, begins something new, which is not done already: it has come to be called the
 * same because the workflow has one id. A run that tries a failed one again, or was reset, goes on with what was begun.
 *
 * @throws {SagaDefinitionError} where a former run has done a step; the version before passed it over, which is replayed as it was
 */
export function checkFormerRuns(id: TransactionId, { earlier }: Pick<ExecuteAnswer, 'earlier'>): void {
  if (earlier === undefined) return;
  const { runId, originalExecutionRunId, continuedFromExecutionRunId, attempt } = workflowInfo();
  const beginsAnew = continuedFromExecutionRunId !== undefined && attempt === 1 && runId === originalExecutionRunId;
  if (!beginsAnew || !patched('temporal-txn-former-runs')) return;
  throw new SagaDefinitionError(
    `Nothing was changed by this: what ${id} was to do was done by a run that this one continues, and is not done again under the same id. ` +
      'Give the transaction an id of its own for each run, and reset this run to its first task.',
  );
}

/** Whether this run was reset to an earlier moment: what was asked for after it, it does not know. */
export function wasReset(): boolean {
  const { runId, firstExecutionRunId, continuedFromExecutionRunId } = workflowInfo();
  return Boolean(firstExecutionRunId) && runId !== firstExecutionRunId && continuedFromExecutionRunId === undefined;
}

/**
 * Whether workflow code may do what the version before did otherwise. To be asked only where it would: it leaves a marker in the history. What
 * that version did, and what the predecessor of a run that was reset did, is replayed as it was.
 */
export const isNew = (): boolean => patched('temporal-txn-heritage');

/** Whether something may have been begun before this run, by a group or by an earlier run. The version before forgot those that were reset. */
export const goesOnWithWhatWasBegun = ({ goesOn }: { readonly goesOn?: true }): boolean =>
  (goesOn === true && isNew()) || (wasReset() && patched('temporal-txn-reset-goes-on'));
