/** What docs/protocols.json holds: how a transfer ends by each protocol, through each failure, as the tests found it. */
import type { Way } from './ways';

export const OUTCOMES_FILE = 'docs/protocols.json';

export interface ProtocolOutcome {
  /** `undone`: it took effect at first. */
  readonly outcome: 'committed' | 'undone' | 'aborted' | 'nothing';
  /** Whether anybody could see one bank's part without the other's while the failure lasted. */
  readonly seen: 'nothing' | 'half';
  /** Whether anything of the accounts was kept from others meanwhile. */
  readonly kept: 'nothing' | 'locked' | 'reserved';
  /** Who finished it. `nobody`: there was nothing left to finish. */
  readonly by: 'coordinator' | 'participants' | 'recovery' | 'client.resume' | 'nobody';
  /** From the failure until nothing was left open, in the run that was recorded. None where it waits for a person. */
  readonly seconds: number | null;
}

export interface FailureOutcomes {
  readonly failure: string;
  readonly outcomes: Readonly<Record<Way, ProtocolOutcome>>;
}

export interface RecordedOutcomes {
  readonly taken: { readonly on: string; readonly node: string; readonly processors: number };
  readonly failures: readonly FailureOutcomes[];
}
