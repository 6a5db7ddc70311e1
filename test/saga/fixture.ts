/** One environment for the sagas of a test file: time skipping, three participants in memory, and stories to tell. */
import { resolve } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { Duration } from '@temporalio/common';
import type { WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { afterAll, beforeAll } from 'vitest';
import type { TransactionHandle } from '../../src/client';
import type { SettledSagaReport, StepReport } from '../../src/protocol';
import { TransactionTestEnvironment } from '../../src/testing';
import type { SagaOptions, StepOptions } from '../../src/workflow';
import { bundleWorkflows } from '../bundle';
import { currentDetails } from '../current-details';
import { surviveStandingClock } from '../standing-clock';
import { Participants } from './participants';
import type { Behaviours } from './participants';
import type { Move, Script } from './workflows';

// The failures here are ordered: the log of the worker has nothing to add.
Runtime.install({ logger: new DefaultLogger('ERROR') });

export const WORKFLOWS = resolve(__dirname, '../../dist/test/saga/workflows.js');
const NAMES = ['shop', 'bank', 'mail'];

export const step = (operation: string, options: StepOptions = {}): Move => ({ kind: 'step', operation, options });
export const pivot = (operation: string, options: StepOptions = {}): Move => ({ kind: 'pivot', operation, options });
export const retriable = (operation: string, options: StepOptions = {}): Move => ({
  kind: 'retriable',
  operation,
  options,
});
export const together = (...moves: Move[]): Move => ({ kind: 'together', moves });
export const inTurn = (...moves: Move[]): Move => ({ kind: 'in-turn', moves });
export const pause = (duration: Duration): Move => ({ kind: 'pause', duration });
export const tolerate = (move: Move): Move => ({ kind: 'tolerate', move });

export interface Story {
  readonly moves: readonly Move[];
  readonly behaviours?: Behaviours;
  readonly options?: SagaOptions;
}

/** A transaction of a test. */
export interface Told {
  readonly id: string;
  readonly handle: TransactionHandle;
  /** Changes how the participants treat it. */
  readonly behave: (behaviours: Behaviours) => void;
  /** What took effect at the participants, in its order. */
  readonly effects: () => string[];
  /** The beginnings and ends of the attempts too. */
  readonly log: () => readonly string[];
  /** Waits for a line of the log. */
  readonly seen: (line: string, times?: number) => Promise<void>;
}

export class SagaFixture {
  readonly participants = new Participants();
  #environment: TransactionTestEnvironment | undefined;
  #told = 0;

  get environment(): TransactionTestEnvironment {
    if (!this.#environment) throw new Error('The environment is started by beforeAll.');
    return this.#environment;
  }

  async start(workflows?: WorkflowBundleWithSourceMap): Promise<void> {
    this.#environment = await TransactionTestEnvironment.start({
      workflows: workflows ?? (await bundleWorkflows(WORKFLOWS)),
      participants: Object.fromEntries(NAMES.map((name) => [name, this.participants.activities(name)])),
    });
  }

  async stop(): Promise<void> {
    await this.#environment?.stop();
  }

  /** Starts a saga that throws when it does not commit. */
  tell(story: Story): Promise<Told> {
    return this.#start('scripted', story);
  }

  /** Runs a saga to its end and returns its report. */
  async settle(story: Story): Promise<Told & { readonly report: SettledSagaReport<unknown> }> {
    const told = await this.#start('settled', story);
    return { ...told, report: await settledReport(told) };
  }

  /** Starts a saga whose result is its report. */
  begin(story: Story): Promise<Told> {
    return this.#start('settled', story);
  }

  /** The events of the history of a transaction. */
  async history({ id }: Told): Promise<HistoryEvent[]> {
    return (await this.#workflow(id).fetchHistory()).events ?? [];
  }

  /** What the Web UI shows of a transaction at the top of its page. */
  currentDetails({ id }: Told): Promise<string> {
    return currentDetails(this.#workflow(id));
  }

  /** The search attributes of a transaction. */
  async attributes({ id }: Told): Promise<Record<string, unknown>> {
    const { typedSearchAttributes } = await this.#workflow(id).describe();
    return Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
  }

  /** Ends a transaction that a test has left without an end. */
  async abandon({ id }: Told): Promise<void> {
    await this.#workflow(id).terminate();
  }

  #workflow(id: string): WorkflowHandle {
    return this.environment.temporal.client.workflow.getHandle(id);
  }

  async #start(workflow: string, { moves, behaviours = {}, options = {} }: Story): Promise<Told> {
    const id = `story-${++this.#told}`;
    this.participants.behave(id, behaviours);
    const handle = await this.environment.transactions.start<Script, unknown>(workflow, {
      id,
      input: { moves, options },
    });
    return {
      id,
      handle,
      behave: (changed) => this.participants.behave(id, changed),
      effects: () => this.participants.effects(id),
      log: () => this.participants.log(id),
      seen: (line, times) => this.participants.seen(id, line, times),
    };
  }
}

/** Starts the environment before the tests of a file and stops it after them. */
export function sagaFixture(): SagaFixture {
  const fixture = new SagaFixture();
  beforeAll(() => fixture.start());
  afterAll(() => fixture.stop());
  surviveStandingClock(fixture);
  return fixture;
}

type HistoryEvent = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>[number];

/** The type of an event, such as `activityTaskScheduled`. */
export const typeOf = (event: HistoryEvent): string =>
  (Object.keys(event).find((key) => key.endsWith('EventAttributes')) ?? '').replace('EventAttributes', '');

/** Waits for a saga whose result is its report. */
export const settledReport = async (told: Told): Promise<SettledSagaReport<unknown>> =>
  (await told.handle.result()) as SettledSagaReport<unknown>;

/** Each step with its fate and that of its compensation: `bank.debit: done, compensated`. */
export const fates = ({ steps }: { readonly steps: readonly StepReport[] }): string[] =>
  steps.map(({ branch, fate, compensation }) => `${branch}: ${fate.kind}, ${compensation.kind}`);

/** The branches whose compensation began while an attempt of their action was still running. There must be none. */
export function overtaken(log: readonly string[]): string[] {
  const running = new Map<string, number>();
  return log.flatMap((line) => {
    const [, undo, branch = '', what] = /^(undo )?(.*) (begins|ends)$/.exec(line) ?? [];
    if (undo !== undefined) return what === 'begins' && (running.get(branch) ?? 0) > 0 ? [branch] : [];
    running.set(branch, (running.get(branch) ?? 0) + (what === 'begins' ? 1 : -1));
    return [];
  });
}
