/**
 * The promises of three-phase commit: A1 to A6 and T1 to T3 of the protocol's study, as a state shows them. That everybody can end
 * without the coordinator is the engine's to find out.
 */
import { Db, get, has, Of, registerOf, Said, STATES, Trouble } from './state';
import type { World } from './world';

const COMMITTED = STATES.indexOf('committed');
const ABORTED = STATES.indexOf('aborted');
const UNCERTAIN = STATES.indexOf('uncertain');

/** `harm`: what a user would notice, and T2. `all`: also what keeps it from coming to that, T1 or T3. */
export type Strictness = 'harm' | 'all';

/** The promise that a state breaks. */
export function brokenPromise(world: World, state: Uint8Array, strictness: Strictness): string | undefined {
  const register = registerOf(state);
  let committed = 0;
  let aborted = 0;
  let unprepared = 0;
  for (const who of world.everybody) {
    const at = (field: number): number => world.layout.at(who, field);
    const stand = get(state, at(Of.stand));
    const db = get(state, at(Of.db));
    const commits = stand === COMMITTED || db === Db.committed;
    const aborts = stand === ABORTED || db === Db.aborted;
    if (commits) committed++;
    if (aborts) aborted++;
    if (db === Db.nothing && !has(state, at(Of.said), Said.readOnly)) unprepared++;
    if (has(state, at(Of.said), Said.acknowledged) && (db === Db.nothing || db === Db.prepared))
      return 'a pre-commit was acknowledged before it was written down';
    if (strictness === 'harm' || world.circumstances.mode === 'classic-unsafe') continue;
    if (commits && register !== 'commit') return 'a branch commits, and the register does not say so';
    if (aborts && has(state, at(Of.said), Said.commit) && register !== 'abort')
      return 'a branch that voted to commit aborts, and the register does not say so';
  }
  if (committed > 0 && aborted > 0) return 'one branch commits and another aborts';
  if ((register === 'commit' || committed > 0) && unprepared > 0)
    return 'commit was decided before every branch was prepared';
  if (register === 'commit' && aborted > 0 && world.circumstances.mode === 'register')
    return 'commit was decided, and a branch had aborted';
  if (strictness === 'harm' || world.circumstances.mode === 'register' || committed === 0) return undefined;
  return world.everybody.some(
    (who) =>
      get(state, world.layout.at(who, Of.stand)) === UNCERTAIN &&
      !has(state, world.layout.at(who, Of.trouble), Trouble.crashed),
  )
    ? 'a branch commits while another one, which never crashed, is uncertain'
    : undefined;
}
