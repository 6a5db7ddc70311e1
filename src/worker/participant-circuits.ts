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

/** An admitted transaction that tries a half-open circuit has this long to be answered, in milliseconds. */
const TRIAL_MS = 60_000;

interface Watched {
  readonly circuit: Circuit;
  /** Ends the trial of a half-open circuit. */
  trial?: (heard: Heard) => void;
}

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
    if (watched.trial) {
      watched.trial(heard);
      return;
    }
    void watched.circuit
      .run(() => (heard === 'answer' ? Promise.resolve() : Promise.reject(new Silence())))
      .catch(ignore);
  }

  /** Who of these is known to be away. Whoever is admitted to a half-open circuit tries it for all others. */
  whoIsAway(participants: readonly string[]): readonly Away[] {
    const watched = participants.map((participant) => ({ participant, ...this.#watch(participant) }));
    const away = watched.flatMap(({ participant, circuit }) => {
      const retryAfterMs = circuit.refusedForMs();
      return retryAfterMs === undefined ? [] : [{ participant, retryAfterMs }];
    });
    if (away.length === 0) for (const { participant } of watched) this.#try(participant);
    return away;
  }

  reports(): readonly (CircuitReport & { readonly participant: string })[] {
    return [...this.#watched].map(([participant, { circuit }]) => ({ participant, ...circuit.report() }));
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
    return { [CIRCUITS_SINK]: { heard } };
  }

  #watch(participant: string): Watched {
    const known = this.#watched.get(participant);
    if (known) return known;
    const circuit = new Circuit(participant, this.options);
    circuit.onChange(() => this.onChange(participant, circuit.report()));
    const watched: Watched = { circuit };
    this.#watched.set(participant, watched);
    return watched;
  }

  /** A circuit that may be tried is: by the next answer, or the next silence. */
  #try(participant: string): void {
    const watched = this.#watch(participant);
    if (watched.circuit.report().state !== 'open') return;
    void watched.circuit
      .run(
        () =>
          new Promise<void>((resolve, reject) => {
            const timer = setTimeout(() => watched.trial?.('silence'), TRIAL_MS);
            timer.unref();
            watched.trial = (heard) => {
              clearTimeout(timer);
              delete watched.trial;
              if (heard === 'answer') resolve();
              else reject(new Silence());
            };
          }),
      )
      .catch(ignore);
  }
}

function ignore(error: unknown): void {
  // The circuit has counted it; nobody waits for the call itself.
  if (!(error instanceof Silence) && !(error instanceof CircuitOpen)) throw error;
}
