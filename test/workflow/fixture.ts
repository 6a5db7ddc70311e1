/** One environment for the sagas of a test file: time skipping, and participants that a test holds by their strings. */
import { resolve } from 'node:path';
import { defaultPayloadConverter } from '@temporalio/common';
import type { WorkflowHandle } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import { afterAll, beforeAll } from 'vitest';
import type { TransactionHandle } from '../../src/client';
import type { SettledSagaReport } from '../../src/protocol';
import { TransactionTestEnvironment } from '../../src/testing';
import type { SagaOptions } from '../../src/workflow';
import type { Move, Script } from '../saga/workflows';
import { bundleWorkflows } from '../bundle';
import { surviveStandingClock } from '../standing-clock';
import { Puppets } from './puppets';
import type { Line } from './puppets';

const WORKFLOWS = resolve(__dirname, '../../dist/test/workflow/workflows.js');

export type HistoryEvent = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>[number];

export interface Story {
  /** The workflow; by default the one that makes the moves and returns its report. */
  readonly workflow?: string;
  readonly input?: unknown;
  readonly moves?: readonly Move[];
  readonly options?: SagaOptions;
  /** What participants answer, by question: see {@link Puppets.say}. */
  readonly answers?: Readonly<Record<string, Line | readonly Line[]>>;
}

export class PuppetFixture {
  readonly puppets = new Puppets();
  #environment: TransactionTestEnvironment | undefined;
  #begun = 0;

  get environment(): TransactionTestEnvironment {
    if (!this.#environment) throw new Error('The environment is started by beforeAll.');
    return this.#environment;
  }

  async start(): Promise<void> {
    const names = ['shop', 'bank', 'mail'];
    this.#environment = await TransactionTestEnvironment.start({
      workflows: await bundleWorkflows(WORKFLOWS),
      participants: Object.fromEntries(names.map((name) => [name, this.puppets.activities(name)])),
    });
  }

  async stop(): Promise<void> {
    await this.#environment?.stop();
  }

  async begin({ workflow = 'settled', input, moves = [], options = {}, answers = {} }: Story): Promise<Begun> {
    const id = `tale-${++this.#begun}`;
    for (const [question, lines] of Object.entries(answers)) this.puppets.say(id, question, ...[lines].flat());
    const handle = await this.environment.transactions.start<unknown, unknown>(workflow, {
      id,
      input: input ?? ({ moves, options } satisfies Script),
    });
    return new Begun(id, handle, this);
  }
}

/** A transaction of a test. */
export class Begun {
  constructor(
    readonly id: string,
    readonly handle: TransactionHandle,
    private readonly fixture: PuppetFixture,
  ) {}

  get workflow(): WorkflowHandle {
    return this.fixture.environment.temporal.client.workflow.getHandle(this.id);
  }

  /** Waits for a saga whose result is its report. */
  async report(): Promise<SettledSagaReport<unknown>> {
    return (await this.handle.result()) as SettledSagaReport<unknown>; // Cast: every workflow here but two settles.
  }

  /** How it stands now. */
  async outcome(): Promise<string | undefined> {
    return (await this.handle.reports())[0]?.outcome;
  }

  asked(): readonly string[] {
    return this.fixture.puppets.asked(this.id);
  }

  say(question: string, ...lines: Line[]): void {
    this.fixture.puppets.say(this.id, question, ...lines);
  }

  async history(): Promise<readonly HistoryEvent[]> {
    return (await this.workflow.fetchHistory()).events ?? [];
  }

  /** The search attributes, by name. */
  async attributes(): Promise<Record<string, unknown>> {
    const { typedSearchAttributes } = await this.workflow.describe();
    return Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
  }

  /** What a workflow task failed with, once one has. */
  async taskFailure(): Promise<string | undefined> {
    const failed = (await this.history()).find((event) => event.workflowTaskFailedEventAttributes);
    return failed?.workflowTaskFailedEventAttributes?.failure?.message ?? undefined;
  }
}

/** Starts the environment before the tests of a file and stops it after them. */
export function puppetFixture(): PuppetFixture {
  const fixture = new PuppetFixture();
  beforeAll(() => fixture.start());
  afterAll(() => fixture.stop());
  surviveStandingClock(fixture);
  return fixture;
}

/** What a payload of a history holds. */
export const valueOf = (payload: Payload | null | undefined): unknown =>
  payload ? defaultPayloadConverter.fromPayload(payload) : undefined;
