/**
 * A pooler that has one session of the server for all who connect, as PgBouncer with `pool_mode = transaction` and a pool of one. Those
 * who connect are let in without a password, and have to take turns.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { Client } from 'pg';

export interface Pooler {
  readonly port: number;
  close(): Promise<void>;
}

/** AuthenticationOk, ReadyForQuery. */
const WELCOME = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);
const TERMINATE = 0x58;

export async function startPooler(url: string): Promise<Pooler> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  // Cast: in the client, not in its types.
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  stream.removeAllListeners('data');
  let turn: Socket | undefined;
  stream.on('data', (data) => turn?.write(data));
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(WELCOME);
      socket.on('data', (data) => {
        if (data[0] === TERMINATE) return;
        turn = socket;
        stream.write(data);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      stream.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
