/** The callers of Restate, by its client. The id of a transfer is its idempotency key: asked again, Restate gives the same answer. */
import { connect, rpc } from '@restatedev/restate-sdk-clients';
import { serveCallers } from '../../dist/bench/throughput/callers.js';

const transfers = connect({ url: process.env.INGRESS_URL }).serviceClient({ name: 'transfers' });

serveCallers(
  {
    restate: async (call) => {
      await transfers.transfer(call, rpc.opts({ idempotencyKey: call.id }));
      return true;
    },
  },
  async () => undefined,
);
