/**
 * The limit: the same two local transactions, one after the other, and nothing that remembers the transfer. When the process dies between
 * the two, the money is gone from one bank and has not arrived at the other.
 */
import { serveCallers } from './callers';
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
  },
  steps.check,
);
