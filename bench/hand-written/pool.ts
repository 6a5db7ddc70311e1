/** The connections to a bank's database as a careful team has them: with the limits of a session set when it opens, where they cost nothing later. */
import { Pool } from 'pg';

/** As many as a participant has. */
const CONNECTIONS = 22;

export const openBankPool = (connectionString: string | undefined): Pool =>
  new Pool({
    connectionString,
    max: CONNECTIONS,
    options: '-c lock_timeout=2s -c statement_timeout=5s -c idle_in_transaction_session_timeout=8s',
  });
