/** What coordinators and the circuits of their worker say to each other. */

/** What became of a request: the participant answered, whatever it said, or nobody did. */
export type Heard = 'answer' | 'silence';

/** A participant that is known to be away. */
export interface Away {
  readonly participant: string;
  /** When it is worth trying again, in milliseconds. */
  readonly retryAfterMs: number;
}

/** Type of the local activity that is asked who is away. */
export const WHO_IS_AWAY = 'txn.whoIsAway';

/** Name of the sink that is told what was heard. */
export const CIRCUITS_SINK = 'txnCircuits';

/** What a participant answers when it is asked how it is. */
export type ParticipantHealth =
  | {
      readonly status: 'healthy';
      /** Room for prepared transactions; a limit of 0: it prepares none. */
      readonly slots: { readonly used: number; readonly limit: number };
    }
  | { readonly status: 'unhealthy'; readonly reason: string };

/** Type of the activity that asks it. */
export const HEALTH = 'participant.health';
