/**
 * The circuits of a coordinator's worker: one for each participant, fed by what transactions hear that want to fail fast. These
 * ask them before they begin; all others go on as if they were not there.
 */
import type { InjectedSinks } from '@temporalio/worker';
import type { Sinks } from '@temporalio/workflow';
import { CIRCUITS_SINK, WHO_IS_AWAY } from '../protocol';
import type { Away, Heard } from '../protocol';
import { Circuit, CircuitOpen } from '../resilience';
import type { CircuitOptions, CircuitReport } from '../resilience';

/** Nobody answered. Counted as the failure of a call. */
class Silence extends Error {}

/** An admitted transaction that tries an open circuit has this long to hear something, in milliseconds. Then another one may. */
const TRIAL_MS = 60_000;
/** Whoever comes meanwhile looks again after this long. */
const LOOK_AGAIN_MS = 1_000;

/**
 * The trial of an open circuit takes as long as a transaction does, and may come to nothing: it ends before it asks the participant. So
 * it is kept here, and the circuit hears of it what was heard of the participant.
 */
interface Watched {
  readonly participant: string;
  readonly circuit: Circuit;
  /** While it is tried. */
  trial?: NodeJS.Timeout;
}

type Report = CircuitReport & { readonly participant: string };

/**
 * `runCoordinator` makes them by itself; for a worker of your own:
 *
 * @example
 * const circuits = new ParticipantCircuits();
 * const worker = await Worker.create({ …, activities: circuits.activities, sinks: circuits.sinks });
 */
export class ParticipantCircuits {
  readonly #watched = new Map<string, Watched>();

  constructor(
    private readonly options: CircuitOptions = {},
    private readonly onChange: (participant: string, report: CircuitReport) => void = () => undefined,
  ) {
    // Checked now, and not when the first participant is asked.
    new Circuit('participants', options);
  }

  /** Told of every answer, and of every request that nobody answered in time. */
  heard(participant: string, heard: Heard): void {
    const watched = this.#watch(participant);
    endTrial(watched);
    void watched.circuit
      .run(() => (heard === 'answer' ? Promise.resolve() : Promise.reject(new Silence())))
      .catch(ignore);
  }

  /** Told of a participant that an admitted transaction has ended without a word of: that says nothing, and another one may try it. */
  unheard(participant: string): void {
    endTrial(this.#watch(participant));
  }

  /** Who of these is known to be away. Whoever is admitted where a circuit is open tries it for all others. */
  whoIsAway(participants: readonly string[]): readonly Away[] {
    const watched = participants.map((participant) => this.#watch(participant));
    const away = watched.flatMap(({ participant, circuit, trial }) => {
      const retryAfterMs = trial ? LOOK_AGAIN_MS : circuit.refusedForMs();
      return retryAfterMs === undefined ? [] : [{ participant, retryAfterMs }];
    });
    if (away.length === 0) for (const one of watched) this.#try(one);
    return away;
  }

  reports(): readonly Report[] {
    return [...this.#watched.values()].map(({ participant, circuit }) => ({ participant, ...circuit.report() }));
  }

  /** What the worker registers. */
  get activities(): Readonly<Record<string, (participants: readonly string[]) => Promise<readonly Away[]>>> {
    return { [WHO_IS_AWAY]: async (participants) => this.whoIsAway(participants) };
  }

  get sinks(): InjectedSinks<Sinks> {
    const heard = {
      fn: (_: unknown, participant: string, heard: Heard) => this.heard(participant, heard),
      callDuringReplay: false,
    };
    const unheard = {
      fn: (_: unknown, participant: string) => this.unheard(participant),
      callDuringReplay: false,
    };
    return { [CIRCUITS_SINK]: { heard, unheard } };
  }

  #watch(participant: string): Watched {
    const known = this.#watched.get(participant);
    if (known) return known;
    const watched: Watched = { participant, circuit: new Circuit(participant, this.options) };
    watched.circuit.onChange(() => this.onChange(participant, watched.circuit.report()));
    this.#watched.set(participant, watched);
    return watched;
  }

  #try(watched: Watched): void {
    if (watched.circuit.report().state === 'closed') return;
    watched.trial = setTimeout(() => endTrial(watched), TRIAL_MS).unref();
  }
}

function endTrial(watched: Watched): void {
  clearTimeout(watched.trial);
  delete watched.trial;
}

function ignore(error: unknown): void {
  // The circuit has counted it; nobody waits for the call itself.
  if (!(error instanceof Silence) && !(error instanceof CircuitOpen)) throw error;
}
