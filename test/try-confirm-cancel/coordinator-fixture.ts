/** Transactions of try-confirm-cancel under time skipping, with participants that a test holds by their strings. */
import { afterAll, beforeAll, expect } from 'vitest';
import type { SettledCommitReport } from '../../src/protocol';
import { surviveStandingClock } from '../standing-clock';
import { TwoPhaseFixture } from '../two-phase-commit/fixture';
import type { Begun, HistoryEvent } from '../two-phase-commit/fixture';
import type { Line } from '../two-phase-commit/participants';
import type { Answer, Plan, Planned, Thought } from './workflows';

export type Settled = SettledCommitReport<'try-confirm-cancel'>;

/** The first one has the register. */
export const THREE: readonly Planned[] = [
  { participant: 'north', operation: 'reserve' },
  { participant: 'south', operation: 'reserve' },
  { participant: 'shop', operation: 'work' },
];
export const NAMES = ['north.reserve', 'south.reserve', 'shop.work'];
export const all = (state: string): Record<string, string> => Object.fromEntries(NAMES.map((name) => [name, state]));

export interface Story extends Partial<Plan> {
  /** By default the one that returns its report. */
  readonly workflow?: string;
  readonly answers?: Readonly<Record<string, Line | readonly Line[]>>;
}

export class ReservingFixture extends TwoPhaseFixture {
  constructor() {
    super('try-confirm-cancel');
  }

  async trip({ workflow = 'settles', answers = {}, branches = THREE, ...plan }: Story = {}): Promise<Trip> {
    const input: Plan = { branches, ...plan };
    return new Trip(await this.begin({ workflow, answers, input }), this, { workflow, input });
  }

  /** A transaction that is reserved and waits. */
  async held(story: Story = {}): Promise<Trip> {
    const trip = await this.trip({ hold: { limit: '15 minutes' }, ...story });
    await trip.begun.until('reserved');
    return trip;
  }
}

export class Trip {
  constructor(
    readonly begun: Begun,
    private readonly fixture: ReservingFixture,
    private readonly started: { readonly workflow: string; readonly input: Plan },
  ) {}

  get id(): string {
    return this.begun.id;
  }

  /** Waits for a transaction whose result is its report. Time is skipped meanwhile. */
  async report(): Promise<Settled> {
    return (await this.begun.handle.result()) as Settled; // Cast: the workflow settles.
  }

  async answer(answer: Answer): Promise<void> {
    await this.begun.workflow.signal('answer', answer);
  }

  /** What became of each call of `until`. */
  async thoughts(): Promise<readonly Thought[]> {
    return this.begun.workflow.query<readonly Thought[]>('thoughts');
  }

  asked(question?: string): readonly string[] {
    const asked = this.begun.asked();
    return question === undefined ? asked : asked.filter((line) => line.split(' ')[0] === question).sort();
  }

  /** Which names and lengths its timers had. */
  async timers(): Promise<readonly (readonly [string, number])[]> {
    const started = (await this.begun.history()).filter((event) => event.timerStartedEventAttributes);
    return started.map((event) => [summaryOf(event), secondsOf(event)]);
  }

  /** Another run of the same workflow. */
  async again(): Promise<void> {
    await this.fixture.environment.temporal.client.workflow.start(this.started.workflow, {
      workflowId: this.id,
      taskQueue: 'transactions',
      args: [this.started.input],
    });
  }

  /** Ends this run as a person would who knows nothing, with its activities left to themselves. */
  async terminate(): Promise<void> {
    await this.begun.workflow.terminate('by a test');
  }

  expectNoneConfirmed(): void {
    expect(this.asked('confirm')).toEqual([]);
    expect(Object.values(this.begun.states())).not.toContain('committed');
  }
}

function summaryOf({ userMetadata }: HistoryEvent): string {
  const data = userMetadata?.summary?.data;
  return data ? (JSON.parse(new TextDecoder().decode(data)) as string) : '';
}

const secondsOf = ({ timerStartedEventAttributes: timer }: HistoryEvent): number =>
  Number(timer?.startToFireTimeout?.seconds ?? 0);

/** Starts the environment before the tests of a file and stops it after them. */
export function reservingFixture(): ReservingFixture {
  const fixture = new ReservingFixture();
  beforeAll(() => fixture.start());
  afterAll(() => fixture.stop());
  surviveStandingClock(fixture);
  return fixture;
}
