/**
 * What this workflow takes over from groups: by its memo where a group has started it, and by signal where it was there before. A saga
 * that ends answers for all of it, see {@link SagaRun}; in the other protocols the register does.
 */
import { defineSignal, setHandler, workflowInfo } from '@temporalio/workflow';
import { GROUP_MEMO } from '../observability';
import { INHERIT_SIGNAL, readHeritage } from '../protocol';
import type { AskedStep, Heritage } from '../protocol';
import { outside } from './outside';

const inheritSignal = defineSignal<[unknown]>(INHERIT_SIGNAL);

/** What the group that has started this workflow has left to it. */
export const heritageOfWorkflow = (): Heritage | undefined => readHeritage(workflowInfo().memo?.[GROUP_MEMO]);

export class Inherited {
  readonly #asked = new Map<string, AskedStep>();
  /** Whether there is nothing to be done any more but to undo it. */
  readonly undo: boolean;

  constructor(heritage: Heritage | undefined) {
    this.undo = heritage?.undo === true;
    this.#add(heritage);
  }

  /** Hears of what other groups leave to it, until it has ended: a signal that comes at the last moment has the end worked out again. */
  listen(): void {
    outside(() =>
      setHandler(inheritSignal, (given) => this.#add(readHeritage(given)), {
        description: 'What a group has asked for in this transaction before it left it to this workflow',
      }),
    );
  }

  /** Those that are not among these, in the order in which they were asked for. */
  except(has: (branch: string) => boolean): readonly AskedStep[] {
    return [...this.#asked.values()].filter(({ branch }) => !has(branch));
  }

  #add(heritage: Heritage | undefined): void {
    for (const step of heritage?.asked ?? []) this.#asked.set(step.branch, step);
  }
}
