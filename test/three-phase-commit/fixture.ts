/**
 * Transactions of three-phase commit, with a worker for each participant that a test can take away and bring back. By the real
 * clock: the time-skipping server loses count of who waits when a signal comes in the moment in which a workflow ends, and its
 * clock stands still from then on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll } from 'vitest';
import { TransactionClient } from '../../src/client';
import type { TransactionHandle } from '../../src/client';
import { parseBranchId, parseTransactionId } from '../../src/protocol';
import type { SettledCommitReport, TransactionReport } from '../../src/protocol';
import type { ThreePhaseCommitOptions } from '../../src/workflow';
import type { ParticipationRequest } from '../../src/workflow/three-phase-messages';
import { compiledWorkflows } from '../saga-more/environment';
import { gate } from '../two-phase-commit/fixture';
import { ModelParticipants } from '../two-phase-commit/participants';
import type { Line } from '../two-phase-commit/participants';
import { bundleWorkflows } from '../bundle';
import { currentDetails } from '../current-details';
import { PARTICIPANT_BUNDLE, startServer } from '../real-server';
import type { RealServer } from '../real-server';
import type { Plan } from './workflows';

export type Planned = Plan['branches'][number];
export type Settled = SettledCommitReport<'three-phase-commit'>;
export type HistoryEvent = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>[number];

/** A transfer: the primary, a second bank, the audit, and a fourth. */
export const FOUR: readonly Planned[] = [
  { participant: 'north', operation: 'debit' },
  { participant: 'south', operation: 'credit' },
  { participant: 'audit', operation: 'record' },
  { participant: 'east', operation: 'work' },
];
export const THREE = FOUR.slice(0, 3);
export const TWO = FOUR.slice(0, 2);

export const nameOf = ({ participant, operation }: Planned): string => `${participant}.${operation}`;

/** Time enough for what is alive, and soon over for what is not. */
export const IMPATIENT = {
  attemptTimeout: 1_000,
  timeouts: { prepare: 1_500, preCommit: 400, uncertain: 2_000, preCommitted: 800, peers: 300 },
} as const satisfies ThreePhaseCommitOptions;

/** Every branch in the same state. */
export const all = (branches: readonly Planned[], state: string): Record<string, string> =>
  Object.fromEntries(branches.map((branch) => [nameOf(branch), state]));

export interface Story {
  readonly branches?: readonly Planned[];
  readonly options?: ThreePhaseCommitOptions;
  /** What participants do, by question: see {@link ModelParticipants.say}. */
  readonly answers?: Readonly<Record<string, Line | readonly Line[]>>;
}

/** What participants know each other by, where the test takes the place of their coordinator. */
export const SECRET = 'known-among-themselves';

type Patience = ParticipationRequest['patience'];
/** Long enough that a test can say to each participant what it wants to before any of them has lost patience. */
const PATIENCE: Patience = { preCommitMs: 1_000, uncertainMs: 8_000, preCommittedMs: 8_500, peersMs: 2_000 };

export interface Orphaned {
  readonly branches: readonly Planned[];
  readonly mode?: ParticipationRequest['mode'];
  readonly patience?: Partial<Patience>;
  /** Of single ones, by branch. */
  readonly patienceOf?: Readonly<Record<string, Partial<Patience>>>;
  readonly answers?: Story['answers'];
  readonly attemptTimeoutMs?: number;
}

interface Present {
  readonly worker: Worker;
  readonly stopped: Promise<void>;
}

export class ThreePhaseFixture {
  readonly participants = new ModelParticipants({ abortsAlone: true });
  readonly #workers = new Map<string, Present>();
  readonly #endings: (() => Promise<unknown>)[] = [];
  #server: RealServer | undefined;
  #begun = 0;

  get client(): Client {
    return this.#running.client;
  }

  get #running(): RealServer {
    if (!this.#server) throw new Error('The server is started by beforeAll.');
    return this.#server;
  }

  async start(): Promise<void> {
    const [server, workflowBundle] = await Promise.all([
      startServer(),
      bundleWorkflows(compiledWorkflows('three-phase-commit')),
    ]);
    this.#endings.push(() => server.stop());
    this.#server = server;
    const coordinator = await Worker.create({ connection: server.native, taskQueue: 'transactions', workflowBundle });
    const stopped = coordinator.run();
    this.#endings.push(async () => {
      coordinator.shutdown();
      await stopped;
    });
    await Promise.all(FOUR.map(({ participant }) => this.back(participant)));
    this.#endings.push(() => Promise.all([...this.#workers.keys()].map((name) => this.away(name))));
  }

  async stop(): Promise<void> {
    for (const end of this.#endings.reverse()) await end();
  }

  /** A participant answers nothing from here on: neither its workflows nor its activities run. */
  async away(participant: string): Promise<void> {
    const present = this.#workers.get(participant);
    this.#workers.delete(participant);
    present?.worker.shutdown();
    await present?.stopped;
  }

  async back(participant: string): Promise<void> {
    const worker = await Worker.create({
      connection: this.#running.native,
      taskQueue: participant,
      ...PARTICIPANT_BUNDLE,
      activities: { ...this.participants.activities(), ...this.participants.registerActivities() },
      // What waits for a worker that is away soon goes to the one that is back.
      stickyQueueScheduleToStartTimeout: '500 milliseconds',
      maxHeartbeatThrottleInterval: '1 second',
    });
    this.#workers.set(participant, { worker, stopped: worker.run() });
  }

  async begin(story: Story = {}): Promise<Tale> {
    const { branches = THREE, options = {}, answers = {} } = story;
    const id = `tale-${++this.#begun}`;
    for (const [question, lines] of Object.entries(answers)) this.participants.say(id, question, ...[lines].flat());
    const input: Plan = { branches, options };
    const transactions = new TransactionClient({ client: this.client });
    const handle = await transactions.start<unknown, unknown>('settles', { id, input });
    return new Tale(id, branches, handle, this);
  }

  /** A transaction whose branches have all voted `commit`, and whose coordinator is gone and has told nobody. */
  async abandoned(branches: readonly Planned[], options: ThreePhaseCommitOptions = {}): Promise<Tale> {
    const last = branches.map(nameOf).at(-1) ?? '';
    const slow = gate();
    const tale = await this.begin({ branches, options, answers: { [`prepare ${last}`]: slow.line } });
    await slow.entered;
    for (const name of tale.names) if (name !== last) await tale.untilState(name, 'uncertain');
    await tale.terminate();
    slow.release();
    await tale.untilState(last, 'uncertain');
    return tale;
  }

  /** The same as participants see it, with patience of each one's own: their coordinator was never there when they voted. */
  async orphaned({
    branches,
    mode = 'register',
    patience = {},
    patienceOf = {},
    answers = {},
    attemptTimeoutMs = 10_000,
  }: Orphaned): Promise<Tale> {
    const id = `tale-${++this.#begun}`;
    for (const [question, lines] of Object.entries(answers)) this.participants.say(id, question, ...[lines].flat());
    const names = branches.map(nameOf);
    const start = async (branch: Planned): Promise<void> => {
      const name = nameOf(branch);
      const request: ParticipationRequest = {
        ...branch,
        input: null,
        transaction: parseTransactionId(id),
        branch: parseBranchId(name),
        token: `token-of-${name}`,
        coordinator: id,
        register: branches[0]?.participant ?? '',
        peers: names.filter((other) => other !== name).map((other) => `${id}#${other}`),
        secret: SECRET,
        mode,
        patience: { ...PATIENCE, ...patience, ...patienceOf[name] },
        prepareMs: 30_000,
        attemptTimeoutMs,
        retry: { initialInterval: 100 },
      };
      await this.client.workflow.start('participateInThreePhaseCommit', {
        workflowId: `${id}#${name}`,
        taskQueue: branch.participant,
        args: [request],
      });
    };
    await Promise.all(branches.map(start));
    const tale = new Tale(id, branches, new TransactionClient({ client: this.client }).handle(id), this);
    // As their databases have it: to ask their workflows would cost a task each time.
    await until(`${id} is prepared`, () => names.every((name) => this.participants.state(id, name) === 'prepared'));
    return tale;
  }

  /** The id that the next transaction will have. */
  get nextId(): string {
    return `tale-${this.#begun + 1}`;
  }
}

/** A transaction of a test. */
export class Tale {
  constructor(
    readonly id: string,
    readonly branches: readonly Planned[],
    readonly handle: TransactionHandle,
    private readonly fixture: ThreePhaseFixture,
  ) {}

  get names(): readonly string[] {
    return this.branches.map(nameOf);
  }

  /** A participant's workflow, or without a branch the coordinator. */
  workflow(branch?: string): WorkflowHandle {
    const id = branch === undefined ? this.id : `${this.id}#${branch}`;
    return this.fixture.client.workflow.getHandle(id);
  }

  async report(): Promise<Settled> {
    return (await this.handle.result()) as Settled; // Cast: the workflow settles.
  }

  /** How the coordinator stands now. */
  async now(): Promise<TransactionReport> {
    const [report] = await this.handle.reports();
    if (!report) throw new Error(`${this.id} has no report.`);
    return report;
  }

  asked(): readonly string[] {
    return this.fixture.participants.asked(this.id);
  }

  async untilAsked(question: string, times = 1): Promise<void> {
    await until(
      `${this.id} is asked ${question}`,
      () => this.asked().filter((line) => line === question).length >= times,
    );
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

  /** What participants have the coordinator's messages by. */
  token(branch: string): string {
    return this.fixture.participants.request(this.id, branch).token;
  }

  /** The state that a participant's workflow shows. */
  async stateOf(branch: string): Promise<string> {
    return /State: ([a-z-]+)/.exec(await this.details(branch))?.[1] ?? 'none';
  }

  async untilState(branch: string, state: string): Promise<void> {
    await until(
      `${branch} of ${this.id} is ${state}`,
      async () => (await this.stateOf(branch).catch(String)) === state,
    );
  }

  /** The Current Details of the Web UI. */
  details(branch?: string): Promise<string> {
    return currentDetails(this.workflow(branch));
  }

  async history(branch?: string): Promise<readonly HistoryEvent[]> {
    return (await this.workflow(branch).fetchHistory()).events ?? [];
  }

  /** Waits until the coordinator's history is so long, or at its end. */
  async untilEvents(length: number): Promise<void> {
    const { workflowService, options } = this.fixture.client;
    let nextPageToken: Uint8Array | null = null;
    for (let seen = 0; seen < length;) {
      const page: Awaited<ReturnType<typeof workflowService.getWorkflowExecutionHistory>> =
        await workflowService.getWorkflowExecutionHistory({
          namespace: options.namespace,
          execution: { workflowId: this.id },
          waitNewEvent: true,
          nextPageToken,
        });
      seen += page.history?.events?.length ?? 0;
      nextPageToken = page.nextPageToken;
      if (nextPageToken.length === 0) return;
    }
  }

  /** The names of the signals that a workflow sent, in their order. */
  async sent(branch?: string): Promise<string[]> {
    const sent = (await this.history(branch)).flatMap(
      (event) => event.signalExternalWorkflowExecutionInitiatedEventAttributes ?? [],
    );
    return sent.map(({ signalName }) => signalName ?? '');
  }

  /** Ends the coordinator. What it has sent is under way. */
  async terminate(): Promise<void> {
    await this.workflow().terminate('by a test');
  }

  /** Tells some participants that all can commit, as the coordinator would. */
  async preCommit(...branches: readonly string[]): Promise<void> {
    for (const branch of branches) await this.workflow(branch).signal('preCommit', { token: this.token(branch) });
    await until(`${this.id} is pre-committed`, () =>
      branches.every((branch) => this.fixture.participants.preCommitted.has(`${this.id} ${branch}`)),
    );
  }

  /** Waits for the end of the participants that were started, and says how each ended. Time is skipped meanwhile. */
  async endings(): Promise<Record<string, string>> {
    const ended = await Promise.all(
      this.names.map(async (branch) => {
        try {
          const { outcome } = (await this.workflow(branch).result()) as { outcome: string };
          return [[branch, outcome]] as const;
        } catch (error) {
          if (/not found/i.test(String(error))) return [];
          throw error;
        }
      }),
    );
    return Object.fromEntries(ended.flat());
  }

  /** Waits until every branch is in its state in its database. */
  async untilStates(states: Readonly<Record<string, string>>): Promise<void> {
    await until(`${this.id} is ${JSON.stringify(states)}`, () =>
      Object.entries(states).every(([branch, state]) => this.states()[branch] === state),
    );
  }

  /** When a workflow ended, in milliseconds of the server's clock. */
  async endedAt(branch?: string): Promise<number> {
    const { closeTime } = await this.workflow(branch).describe();
    if (!closeTime) throw new Error(`${branch ?? 'the coordinator'} of ${this.id} has not ended.`);
    return closeTime.getTime();
  }
}

const LONGEST_WAIT_MS = 45_000;

/** Like `expect.poll`, for tests that run side by side. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + LONGEST_WAIT_MS; Date.now() < deadline; await sleep(50)) if (await isSo()) return;
  throw new Error(`It did not come to this: ${what}.`);
}

/** Starts the environment before the tests of a file and stops it after them. */
export function threePhaseFixture(): ThreePhaseFixture {
  const fixture = new ThreePhaseFixture();
  beforeAll(() => fixture.start());
  afterAll(() => fixture.stop());
  return fixture;
}
