/** The process that makes transfers without a coordinator: `POST /transfer`, and it answers twice, decided and done. */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Pool } from 'pg';
import { openBankPool } from '../hand-written/pool';
import { transferDirectly } from './two-phase-commit';
import type { Databases } from './two-phase-commit';
import { DECIDED, DONE } from './client';
import type { DirectRequest } from './client';

const databases: Databases = {
  north: openBankPool(process.env['NORTH_DATABASE_URL']),
  south: openBankPool(process.env['SOUTH_DATABASE_URL']),
  audit: openBankPool(process.env['AUDIT_DATABASE_URL']),
};

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === 'POST') {
    const { id, transfer } = JSON.parse(await text(request)) as DirectRequest; // Cast: only the benchmark asks.
    await transferDirectly(databases, id, transfer, () => response.write(DECIDED));
    response.end(DONE);
  } else {
    await Promise.all(Object.values(databases).map((pool: Pool) => pool.query('select')));
    response.end('healthy');
  }
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    console.error(error);
    if (!response.headersSent) response.statusCode = 500;
    response.end();
  });
});
server.listen(Number(process.env['TXN_HEALTH_PORT']), process.env['TXN_HEALTH_HOST']);

process.on('SIGTERM', () => process.exit(0));
