/**
 * The service that Restate calls, as its documentation shows it: a handler of two steps, each journaled. It has both databases; Restate's
 * server decides how many handlers run at a time.
 */
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createEndpointHandler, service, TerminalError } from '@restatedev/restate-sdk';
import { openSteps } from '../../dist/bench/throughput/steps.js';

const steps = openSteps();

/** What a bank refuses is not tried again; all else is, until it succeeds. */
const step = (context, name, call) =>
  context.run(name, async () => {
    try {
      return await steps[name](call);
    } catch (error) {
      throw error.nonRetryable ? new TerminalError(error.message) : error;
    }
  });

const transfers = service({
  name: 'transfers',
  handlers: {
    transfer: async (context, call) => {
      const { balance } = await step(context, 'debit', call);
      if (call.holdMs > 0) await context.sleep(call.holdMs);
      try {
        await step(context, 'credit', call);
      } catch (error) {
        if (error instanceof TerminalError) await step(context, 'reverseDebit', call);
        throw error;
      }
      return balance;
    },
  },
});

const { TXN_HEALTH_HOST, TXN_HEALTH_PORT, SERVICE_PORT } = process.env;
createHttp2Server(createEndpointHandler({ services: [transfers] })).listen(Number(SERVICE_PORT), TXN_HEALTH_HOST);
createServer((request, response) => {
  steps.check().then(
    () => response.end('healthy'),
    (error) => {
      response.statusCode = 500;
      response.end(String(error));
    },
  );
}).listen(Number(TXN_HEALTH_PORT), TXN_HEALTH_HOST);
process.on('SIGTERM', () => process.exit(0));
