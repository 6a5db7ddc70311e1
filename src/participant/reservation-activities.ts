/**
 * The questions of try-confirm-cancel about a branch: `try`, `decide` at the primary, and `confirm` or `cancel` at
 * the others.
 */
import { parseParticipantName } from '../protocol';
import type { Ack, DecideAnswer, DecideRequest, FinishRequest, PrepareAnswer, TryRequest } from '../protocol';
import { parseRequest } from './answering';
import { asked } from './asked';
import type { Branch } from './branch';
import { decideBy } from './finish';
import { endReservation, tryBranch } from './try-confirm-cancel';

export interface ReservationActivities {
  readonly try: (request: TryRequest) => Promise<PrepareAnswer>;
  readonly decide: (request: DecideRequest) => Promise<DecideAnswer>;
  readonly confirm: (request: FinishRequest) => Promise<Ack>;
  readonly cancel: (request: FinishRequest) => Promise<Ack>;
}

/** The questions about one operation. */
export const reservationActivities = (open: () => Branch, reopen: () => Branch): ReservationActivities => ({
  try: async (given) => {
    const { holdMs } = given;
    const request: TryRequest = {
      ...parseRequest(given),
      register: parseParticipantName(given.register),
      ...(Number.isSafeInteger(holdMs) ? { holdMs: holdMs as number } : {}), // Cast: it is a number then.
    };
    return tryBranch({ ...open(), participant: asked().participant }, request);
  },
  decide: async (given) => {
    const request = parseEnding(given);
    const { reason } = given;
    const propose = given.propose === 'commit' ? 'commit' : 'abort';
    const branch = reopen();
    const decided = await decideBy(
      branch.pool,
      { ...request, register: given.register, branches: given.branches, propose },
      { propose, ...(reason === undefined ? {} : { reason }) },
    );
    try {
      return { ...decided, ack: await endReservation(branch, request, decided.decision) };
    } catch {
      // The others must not wait for this branch. It is asked to end like them now, and says what is wrong.
      return decided;
    }
  },
  confirm: async (given) => endReservation(reopen(), parseEnding(given), 'commit'),
  cancel: async (given) => endReservation(reopen(), parseEnding(given), 'abort'),
});

const parseEnding = (given: FinishRequest) => ({
  ...parseRequest(given),
  ...(given.wantsResult ? { wantsResult: true as const } : {}),
});
