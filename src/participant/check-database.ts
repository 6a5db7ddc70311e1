/** What a worker asks its database before it takes any work: an answer that the operator hears now, and not from the first transaction. */
import type { Pool } from 'pg';
import { MissingRightsError, MissingTableError, StandbyError } from './errors';
import { checkSchema } from './migrate';
import { missingRights } from './roles';
import type { TableRights } from './roles';

const STANDING = `
  select pg_is_in_recovery() as standby, current_user::text as role,
         n.oid is null or has_schema_privilege(n.oid, 'usage') as usable
    from (select to_regnamespace('txn') as oid) n`;

/**
 * Checks that a database takes writes, has the schema of this version, and lets its role do what it has to.
 *
 * @param participant for messages
 * @throws {StandbyError}
 * @throws {SchemaVersionError}
 * @throws {MissingTableError}
 * @throws {MissingRightsError}
 */
export async function checkDatabase(pool: Pool, participant: string, wanted: readonly TableRights[]): Promise<void> {
  const { rows } = await pool.query<{ standby: boolean; role: string; usable: boolean }>(STANDING);
  const { standby = false, role = '', usable = true } = rows[0] ?? {};
  if (standby) throw new StandbyError(participant);
  if (!usable) throw new MissingRightsError(participant, role, []);
  await checkSchema(pool);
  const missing = await missingRights(pool, wanted);
  const gone = missing.filter(({ there }) => !there).map(({ table }) => table);
  if (gone.length > 0) throw new MissingTableError(participant, [...new Set(gone)]);
  if (missing.length > 0) throw new MissingRightsError(participant, role, missing);
}
