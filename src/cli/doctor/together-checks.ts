/** What the doctor finds by looking at all databases together: who shares one, and what is left in doubt. */
import type { Coordinators } from '../coordinators';
import type { Database } from '../databases';
import { DEFAULT_HARD_LIMIT_MS } from '../defaults';
import { gather } from '../evidence';
import { standing } from '../in-doubt';
import { age, count, printable } from '../printable';
import { notChecked, ok, problem, warning } from './check';
import type { Check, Result } from './check';
import type { Contact } from './connect-database';

export interface TogetherFacts {
  /** Those that were connected to. */
  readonly contacts: ReadonlyMap<string, Contact>;
  /** Those that can be looked into. */
  readonly databases: readonly Database[];
  /** How many are configured. */
  readonly configured: number;
  readonly coordinators: Coordinators;
  readonly namespace: string;
  readonly graceMs: number;
}

export const TOGETHER_CHECKS: readonly Check<TogetherFacts>[] = [
  { name: 'a database each', look: async ({ contacts, configured }) => judgeShared(contacts, configured) },
  { name: 'in doubt', look: lookAtInDoubt },
];

function judgeShared(contacts: ReadonlyMap<string, Contact>, configured: number): Result {
  const places = new Map<string, { readonly database: string; readonly names: string[] }>();
  for (const [participant, { server, oid, database, host }] of contacts) {
    // Where the server does not say which one it is, two names of it look like two.
    const place = `${server ?? host} ${oid}`;
    const known = places.get(place);
    if (known) known.names.push(participant);
    else places.set(place, { database, names: [participant] });
  }
  const shared = [...places.values()].filter(({ names }) => names.length > 1);
  if (shared.length > 0)
    return problem(
      shared.map(({ database, names }) => `${names.join(' and ')} are one database, ${printable(database)}.`).join(' '),
      'Give each participant a database of its own: they would share branch log, register and outbox.',
    );
  if (contacts.size < configured) return notChecked(`Only ${contacts.size} of ${configured} databases answered.`);
  return ok(count(contacts.size, 'database', 'databases, no two of them the same'));
}

async function lookAtInDoubt({
  databases,
  configured,
  coordinators,
  namespace,
  graceMs,
}: TogetherFacts): Promise<Result> {
  const patience = { graceMs, hardLimitMs: DEFAULT_HARD_LIMIT_MS };
  const { branches, strangers, lookedAt } = await gather(databases, coordinators, {
    namespace,
    patience,
    young: false,
  });
  const needy = branches.filter((branch) => standing(branch, graceMs) === 'person');
  const [oldest] = needy;
  if (oldest !== undefined)
    return problem(
      `${count(needy.length, 'branch', 'branches')} left in doubt, the oldest at ${oldest.participant} for ${age(oldest.ageMs)}.`,
      'temporal-txn in-doubt',
    );
  const old = strangers.filter(({ ageMs }) => ageMs >= graceMs);
  if (old.length > 0)
    return warning(
      `${count(old.length, 'prepared transaction')} of nobody here, the oldest for ${age(Math.max(...old.map(({ ageMs }) => ageMs)))}: they hold locks, and vacuum back.`,
      'temporal-txn in-doubt names them; ask their owners',
    );
  if (lookedAt.length < configured)
    return notChecked(`None in what could be looked at: ${lookedAt.length} of ${configured} databases.`);
  return ok(`Nothing older than ${age(graceMs)} waits for a person.`);
}
