/**
 * DBOS as its documentation shows it: a library in the process of its users, a workflow of two steps, and a system database on the server of
 * one of the banks. The packages of its data sources that are published do not work with this version of the SDK, so the local transactions
 * are steps that can be repeated, with a row for each, as a data source has it.
 */
import { DBOS } from '@dbos-inc/dbos-sdk';
import { serveCallers } from '../../dist/bench/throughput/callers.js';
import { openSteps } from '../../dist/bench/throughput/steps.js';

/** As many as a bank has; its default is 10. */
const SYSTEM_CONNECTIONS = 20;

const steps = openSteps();
const step = (name, call) => DBOS.runStep(() => steps[name](call), { name });

const transfer = DBOS.registerWorkflow(
  async (call) => {
    const { balance } = await step('debit', call);
    if (call.holdMs > 0) await DBOS.sleep(call.holdMs);
    try {
      await step('credit', call);
    } catch (error) {
      await step('reverseDebit', call);
      throw error;
    }
    return balance;
  },
  { name: 'transfer' },
);

DBOS.setConfig({
  name: 'bench',
  applicationVersion: '1',
  systemDatabaseUrl: process.env.SYSTEM_DATABASE_URL,
  systemDatabasePoolSize: SYSTEM_CONNECTIONS,
  logLevel: 'warn',
});
await DBOS.launch();

serveCallers(
  {
    dbos: async (call) => {
      const handle = await DBOS.startWorkflow(transfer, { workflowID: call.id })(call);
      await handle.getResult();
      return true;
    },
  },
  steps.check,
);
