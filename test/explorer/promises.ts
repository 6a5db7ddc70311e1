/** The promises of two-phase commit: A1 to A6, P10 and H1 of the protocol's study, as a state shows them. */
import { At, at, DECISIONS, Flag, get, has, Of } from './state';
import type { World } from './world';

/**
 * The promise that a state breaks.
 *
 * Where databases lose what they had acknowledged, or people finish branches by hand, no protocol can keep the branches alike.
 * What is left is honesty: nobody is told an outcome that is not there.
 */
export function brokenPromise(world: World, state: Uint8Array): string | undefined {
  const { kinds, branches, circumstances, mechanisms } = world;
  const tampered = circumstances.hands > 0;
  const registered = !tampered && mechanisms.register !== 'none';
  const decision = DECISIONS[get(state, At.register)];
  const told = get(state, At.told);
  let changing = 0;
  let applied = 0;
  let givenUp = 0;
  for (const branch of branches) {
    if (kinds[branch] === 'read-only') continue;
    changing++;
    const effects = get(state, at(branch, Of.effects));
    if (effects > 1) return `${world.name(branch)} took effect twice`;
    applied += effects;
    if (get(state, at(branch, Of.row)) > APPLIED) givenUp++;
    if (!has(state, at(branch, Of.flags), Flag.objected)) continue;
    if (effects > 0 || get(state, at(branch, Of.prepared)) > 0)
      return `${world.name(branch)} voted abort and was prepared all the same`;
  }
  if (applied > 0 && givenUp > 0 && !tampered) return 'one branch took effect and another was given up for ever';
  if (applied > 0 && registered && decision !== 'commit')
    return 'a branch took effect, and the register does not say commit';
  if (told === TOLD_BOTH) return 'the client was told both outcomes';
  if (told === TOLD_COMMITTED && registered && decision !== 'commit')
    return 'the client was told "committed", and the register does not say so';
  if (told === TOLD_COMMITTED && applied < changing)
    return 'the client was told "committed", and a branch has not taken effect';
  if (told === TOLD_ABORTED && applied > 0) return 'the client was told "aborted", and a branch took effect';
  return undefined;
}

const APPLIED = 1;
const TOLD_COMMITTED = 1;
const TOLD_ABORTED = 2;
const TOLD_BOTH = 3;
