/** One environment for the transactions of a test file: time skipping, and participants that a test holds by their strings. */
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect } from 'vitest';
import type { TransactionHandle } from '../../src/client';
import type { SettledCommitReport, TwoPhaseCommitReport } from '../../src/protocol';
import { TransactionTestEnvironment } from '../../src/testing';
import type { TwoPhaseCommitOptions } from '../../src/workflow';
import { compiledWorkflows } from '../saga-more/environment';
import { BufferedMetrics } from '../buffered-metrics';
import { bundleWorkflows } from '../bundle';
import { currentDetails } from '../current-details';
import { surviveStandingClock } from '../standing-clock';
import { ModelParticipants } from './participants';
import type { Line } from './participants';
import type { Plan, Planned } from './workflows';

export type HistoryEvent = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>[number];
export type Settled = SettledCommitReport<'two-phase-commit'>;

/** A transfer: the primary, a second bank, and the audit. */
export const THREE: readonly Planned[] = [
  { participant: 'north', operation: 'debit' },
  { participant: 'south', operation: 'credit' },
  { participant: 'audit', operation: 'record' },
];

export interface Story {
  /** The workflow; by default the one that returns its report. */
  readonly workflow?: string;
  readonly input?: unknown;
  readonly branches?: readonly Planned[];
  readonly options?: TwoPhaseCommitOptions;
  /** What participants do, by question: see {@link ModelParticipants.say}. */
  readonly answers?: Readonly<Record<string, Line | readonly Line[]>>;
}

const PARTICIPANTS = ['north', 'south', 'audit', 'shop'];

export class TwoPhaseFixture {
  readonly participants = new ModelParticipants();
  readonly #metrics = new BufferedMetrics();
  #environment: TransactionTestEnvironment | undefined;
  #begun = 0;

  /** @param directory whose workflows it runs */
  constructor(private readonly directory = 'two-phase-commit') {}

  get environment(): TransactionTestEnvironment {
    if (!this.#environment) throw new Error('The environment is started by beforeAll.');
    return this.#environment;
  }

  async start(): Promise<void> {
    // A second environment has the same.
    if (!this.#environment) await this.#metrics.install();
    this.#metrics.start();
    const activities = { ...this.participants.activities(), ...this.participants.registerActivities() };
    this.#environment = await TransactionTestEnvironment.start({
      workflows: await bundleWorkflows(compiledWorkflows(this.directory)),
      participants: {
        ...Object.fromEntries(PARTICIPANTS.map((name) => [name, activities])),
        partner: this.participants.partner(),
      },
    });
  }

  async stop(): Promise<void> {
    this.#metrics.stop();
    await this.#environment?.stop();
  }

  async begin(story: Story = {}): Promise<Begun> {
    const { workflow = 'settles', branches = THREE, options = {}, answers = {} } = story;
    const id = `tale-${++this.#begun}`;
    for (const [question, lines] of Object.entries(answers)) this.participants.say(id, question, ...[lines].flat());
    const input = story.input ?? ({ branches, options } satisfies Plan);
    const handle = await this.environment.transactions.start<unknown, unknown>(workflow, { id, input });
    return new Begun(id, handle, this);
  }

  /** The id that the next transaction will have. */
  get nextId(): string {
    return `tale-${this.#begun + 1}`;
  }

  /** How often a counter was raised since the file began, by one label or in all. */
  counted(metric: string, label: Readonly<Record<string, string>> = {}): number {
    return this.#metrics.told(metric, label).sum;
  }
}

/** A transaction of a test. */
export class Begun {
  constructor(
    readonly id: string,
    readonly handle: TransactionHandle,
    private readonly fixture: TwoPhaseFixture,
  ) {}

  get workflow(): WorkflowHandle {
    return this.fixture.environment.temporal.client.workflow.getHandle(this.id);
  }

  /** Waits for a transaction whose result is its report. */
  async report(): Promise<Settled> {
    return (await this.handle.result()) as Settled; // Cast: the workflow settles.
  }

  /** How it stands now. */
  async now(): Promise<TwoPhaseCommitReport> {
    const [report] = await this.handle.reports<'two-phase-commit'>();
    if (!report) throw new Error(`${this.id} has no report.`);
    return report;
  }

  /** Waits until it stands like this. */
  async until(outcome: string): Promise<TwoPhaseCommitReport> {
    await expect.poll(async () => (await this.now()).outcome, { timeout: 30_000 }).toBe(outcome);
    return this.now();
  }

  /** Waits until a participant has been asked something so often. */
  async untilAsked(question: string, times = 1): Promise<void> {
    const count = (): number => this.asked().filter((line) => line === question).length;
    await expect.poll(count, { timeout: 20_000, message: `${this.id}: ${question}` }).toBeGreaterThanOrEqual(times);
  }

  asked(): readonly string[] {
    return this.fixture.participants.asked(this.id);
  }

  /** What participants were asked in the second phase, in any order. */
  askedToFinish(): readonly string[] {
    return this.asked()
      .filter((line) => /^(decide|commit|abort) /.test(line))
      .sort();
  }

  say(question: string, ...lines: Line[]): void {
    this.fixture.participants.say(this.id, question, ...lines);
  }

  states(): Record<string, string> {
    return this.fixture.participants.states(this.id);
  }

  get decided(): string | undefined {
    return this.fixture.participants.register.get(this.id)?.decision;
  }

  /** Sends the vote of a branch as its participant would, or with something else in it. */
  async vote(branch: string, vote: string, other: object = {}): Promise<void> {
    const { token } = this.fixture.participants.request(this.id, branch);
    await this.workflow.signal('vote', { transaction: this.id, branch, token, vote, ...other });
  }

  async history(): Promise<readonly HistoryEvent[]> {
    return (await this.workflow.fetchHistory()).events ?? [];
  }

  /** The search attributes, by name. */
  async attributes(): Promise<Record<string, unknown>> {
    const { typedSearchAttributes } = await this.workflow.describe();
    return Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
  }

  /** The Current Details of the Web UI. */
  details(): Promise<string> {
    return currentDetails(this.workflow);
  }

  /** What a workflow task failed with, once one has. */
  async taskFailure(): Promise<string | undefined> {
    const failed = (await this.history()).find((event) => event.workflowTaskFailedEventAttributes);
    return failed?.workflowTaskFailedEventAttributes?.failure?.message ?? undefined;
  }
}

/** Starts the environment before the tests of a file and stops it after them. */
export function twoPhaseFixture(): TwoPhaseFixture {
  const fixture = new TwoPhaseFixture();
  beforeAll(() => fixture.start());
  afterAll(() => fixture.stop());
  surviveStandingClock(fixture);
  return fixture;
}

export interface Gate {
  /** Waits at the gate, then does the usual. */
  readonly line: (usual: () => Promise<unknown>) => Promise<unknown>;
  /** Resolves when somebody waits. */
  readonly entered: Promise<void>;
  release(): void;
}

/** Holds an activity until the test lets it go. */
export function gate(): Gate {
  let enter = (): void => undefined;
  let release = (): void => undefined;
  const entered = new Promise<void>((done) => (enter = done));
  const released = new Promise<void>((done) => (release = done));
  const line = async (usual: () => Promise<unknown>): Promise<unknown> => {
    enter();
    await released;
    return usual();
  };
  return { line, entered, release: () => release() };
}
