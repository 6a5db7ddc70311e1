/** What the benchmark and a process that publishes say to each other. */

export type PeerMode = 'polling' | 'replication';

/** What a process is to publish with. */
export type Job =
  | { readonly kind: 'ours'; readonly batch?: number; readonly seat: number; readonly seats: number }
  | { readonly kind: PeerMode; readonly batch?: number };

/** From the process: that it can begin, and then how far it is. */
export type Report =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'progress';
      /** Events that came in their turn, and others: see `Tally`. */
      readonly count: number;
      readonly astray: number;
      /** When the last of them was given to the publisher, by `clockMs`. */
      readonly publishedAt: number;
      /** How many are marked as published, and since when. */
      readonly finished: number;
      readonly finishedAt: number;
    };

/** To the process. */
export const BEGIN = 'begin';

/** In its environment. */
export const JOB = 'OUTBOX_JOB';
export const DATABASE_URL = 'DATABASE_URL';
