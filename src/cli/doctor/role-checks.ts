/** Whether the role that workers log in as may do what they have to, and no more (docs/security.md). */
import { missingRights, WORKER_RIGHTS } from '../../participant';
import type { Pool } from 'pg';
import { ok, problem, warning } from './check';
import type { Result } from './check';
import { printable } from '../printable';

const ROLE = `
  select current_user::text as name, quote_ident(current_user) as quoted, r.rolsuper as super,
         exists (select from pg_class c
                  where c.relnamespace = to_regnamespace('txn') and pg_has_role(c.relowner, 'usage')) as owns,
         coalesce((select string_agg(privilege, ', ')
                     from unnest(array['update', 'delete', 'truncate']) privilege
                    where has_table_privilege(to_regclass('txn.decision'), privilege)), '') as changes
    from pg_roles r where r.rolname = current_user`;

/** Whether it may do more than it has to. */
export async function lookAtRole(pool: Pool): Promise<Result> {
  const { rows } = await pool.query<{ name: string; quoted: string; super: boolean; owns: boolean; changes: string }>(
    ROLE,
  );
  const role = rows[0];
  if (role === undefined) throw new Error('The role does not show in pg_roles.');
  const name = printable(role.name);
  if (role.super)
    return problem(
      `${name} is a superuser: whoever has its password has every database of the server, and may finish what others have prepared.`,
      `Give the service a role of its own: create role … login nosuperuser`,
    );
  if (role.owns)
    return warning(
      `${name} owns tables of schema txn, so it could take the guard from the register of decisions.`,
      'Have another role own the schema and migrate it (temporal-txn setup --migrate), and grant this one what it needs.',
    );
  return role.changes === ''
    ? ok(`${name} is no superuser, owns nothing in schema txn, and may not change a decision.`)
    : warning(
        `${name} may ${role.changes} txn.decision. A trigger refuses it, but only a purge needs the right to delete.`,
        `revoke ${role.changes} on txn.decision from ${printable(role.quoted)}`,
      );
}

/** Whether it may do all that it has to. */
export async function lookAtGrants(pool: Pool): Promise<Result> {
  const schema = await pool.query<{ there: boolean; name: string; quoted: string; usage: boolean | null }>(
    `select n.oid is not null as there, current_user::text as name, quote_ident(current_user) as quoted,
            has_schema_privilege(n.oid, 'usage') as usage
       from (select to_regnamespace('txn') as oid) n`,
  );
  const { there, name = '', quoted = '', usage } = schema.rows[0] ?? {};
  const [role, grantee] = [printable(name), printable(quoted)];
  if (!there) return problem('There is no schema txn.', 'temporal-txn setup --migrate, with the login of the owner');
  if (!usage) return problem(`${role} may not use schema txn.`, `grant usage on schema txn to ${grantee}`);
  const missing = await missingRights(pool, WORKER_RIGHTS);
  if (missing.length === 0) return ok(`${role} may do all that its workers have to in schema txn.`);
  const tables = [...new Set(missing.map((one) => one.table))];
  const grants = tables.map((table) => {
    const privileges = missing.filter((one) => one.table === table).map(({ privilege }) => privilege);
    return `grant ${privileges.join(', ')} on txn.${table} to ${grantee}`;
  });
  return problem(`${role} lacks rights in schema txn.`, grants.join('; '));
}
