/**
 * The limits. Of sagas: the same two local transactions, one after the other, and nothing that remembers the transfer. When the process dies between
 * the two, the money is gone from one bank and has not arrived at the other. Of two-phase commits: see `direct-two-phase.ts`.
 */
import { serveCallers } from './callers';
import { transferInTwoPhases } from './direct-two-phase';
import { openSteps } from './steps';

const steps = openSteps();

serveCallers(
  {
    direct: async (call) => {
      await steps.debit(call);
      await steps.hold(call);
      await steps.credit(call);
      return true;
    },
    'direct-2pc': async (call) => {
      await transferInTwoPhases(steps.pools, call);
      return true;
    },
  },
  steps.check,
);
