/** Workflows that do what their input says, and travel in groups. */
import { ApplicationFailure, CancellationScope, continueAsNew, sleep, workflowInfo } from '@temporalio/workflow';
import { groupOf, saga, twoPhaseCommit } from 'temporal-txn/workflow';
import type { BranchOperation, Saga } from 'temporal-txn/workflow';
import { transferMoney, transferMoneyAtomically } from '../../workflows';

export { transferMoney, transferMoneyAtomically };

/** What a branch is asked to do: see `fixture.ts`. */
export interface Deed {
  readonly at: 'left' | 'right';
  readonly does?: string;
  readonly ms?: number;
  /** Carries a text of so many letters. */
  readonly letters?: number;
}

const operationAt = (at: Deed['at']): BranchOperation<unknown, string, 'compensatable'> => ({
  participant: at,
  operation: 'act',
});

const doing =
  (deeds: readonly Deed[]) =>
  async (s: Saga): Promise<readonly string[]> => {
    const results: string[] = [];
    for (const { letters = 0, ...deed } of deeds)
      results.push(await s.step(operationAt(deed.at), { ...deed, text: 'ü'.repeat(letters) }));
    return results;
  };

/** A saga of these steps. */
export const inSteps = (deeds: readonly Deed[]): Promise<readonly string[]> => saga(doing(deeds));

/** The same under an id that it is told. */
export const underId = ({ id, deeds }: { readonly id: string; readonly deeds: readonly Deed[] }) =>
  saga(doing(deeds), { id });

/** The same in each of three runs, under the id of the workflow. */
export const inEachRun = async (deeds: readonly Deed[], run = 1): Promise<void> => {
  await inSteps(deeds);
  if (run < 3) await continueAsNew<typeof inEachRun>(deeds, run + 1);
};

/** Fails after it, the first time. */
export const failsAfterwards = async (deeds: readonly Deed[]): Promise<void> => {
  await inSteps(deeds);
  if (workflowInfo().attempt === 1) throw ApplicationFailure.retryable('It went wrong afterwards.');
};

/** Ends before its saga has, and fails where it is told to. */
export const endsFirst = async (deeds: readonly Deed[]): Promise<string> => {
  void inSteps(deeds);
  if (deeds[0]?.does === 'end badly') throw ApplicationFailure.nonRetryable('It went wrong elsewhere.', 'Elsewhere');
  return 'early';
};

/** A saga of two steps, unless one of the participants is known to be away. */
export const hurriesInSteps = ([first, second]: readonly Deed[]): Promise<void> =>
  saga(
    async (s) => {
      await s.step(operationAt('left'), first);
      await s.step(operationAt('right'), second);
    },
    { failFast: ['left', 'right'] },
  );

/** Both of them by two-phase commit, unless one of the participants is known to be away. */
export const hurriesAtOnce = (deeds: readonly Deed[]): Promise<readonly unknown[]> =>
  twoPhaseCommit(
    deeds.map((deed) => ({ ...operationAt(deed.at), input: deed })),
    { failFast: true },
  );

/** Goes on with something else when it has committed. */
export const restsAfterwards = async (deeds: readonly Deed[]): Promise<void> => {
  await inSteps(deeds);
  await sleep('1 minute');
};

/** Rests before its last step. */
export const restsBetween = ([first, second]: readonly Deed[]): Promise<void> =>
  saga(async (s) => {
    await s.step(operationAt('left'), first);
    await sleep('1 hour');
    await s.step(operationAt('right'), second);
  });

/** A saga that does nothing before one of these steps. The first one is in nobody's way. */
export const oneByOne = async (deeds: readonly Deed[]): Promise<void> => {
  await saga(async () => undefined);
  await inSteps(deeds);
};

/** All of them by two-phase commit. */
export const atOnce = (deeds: readonly Deed[]): Promise<readonly unknown[]> =>
  twoPhaseCommit(deeds.map((deed) => ({ ...operationAt(deed.at), input: deed })));

/** Has a bug that some inputs meet, between two steps. */
export const buggy = (deeds: readonly Deed[]): Promise<string> =>
  saga(async (s) => {
    const first = await s.step(operationAt('left'), deeds[0]);
    if (deeds[0]?.does === 'meet the bug') throw new TypeError('A bug.');
    return first;
  });

/** Would end as if nothing stood, if it were told of that. */
export const shrugging = (deeds: readonly Deed[]): Promise<string> => buggy(deeds).catch(() => 'never mind');

/** Has a bug that some inputs meet before there is a promise. */
export function hasty(deeds: readonly Deed[]): Promise<string> {
  if (deeds[0]?.does === 'meet the bug') throw new TypeError('A bug.');
  return buggy(deeds);
}

/** Misplaces a step, which fails the task of a workflow of its own. */
export const misplaced = (deeds: readonly Deed[]): Promise<string> =>
  saga(async (s) => {
    if (deeds[0]?.does === 'meet the bug') void s.retriable(operationAt('left'), deeds[0]).catch(() => undefined);
    return s.step(operationAt('left'), deeds[0]);
  });

/** What JSON cannot write, or what Temporal does not write as JSON. */
function beyondJson(does: string | undefined): unknown {
  const circle: { itself?: unknown } = {};
  circle.itself = circle;
  if (does?.endsWith('a bigint')) return 1n;
  if (does?.endsWith('a circle')) return circle;
  return does?.endsWith('bytes') ? new Uint8Array([1, 2, 3]) : undefined;
}

/** Does its steps, and ends with what some inputs ask for. */
export const strange = async (deeds: readonly Deed[]): Promise<unknown> => {
  const results = await inSteps(deeds);
  const [{ does } = { does: '' }] = deeds;
  if (does?.startsWith('fail with'))
    throw ApplicationFailure.nonRetryable('A strange one.', 'Strange', beyondJson(does));
  return beyondJson(does) ?? results;
};

/** Has a step that is no operation of a participant. */
export const free = (deeds: readonly Deed[]): Promise<string> =>
  saga(async (s) => {
    const first = await s.step(operationAt('left'), deeds[0]);
    await s.step({ name: 'free', execute: async () => sleep(1), compensate: async () => undefined }, null);
    return first;
  });

/** Dawdles in a group, and asks nobody for anything meanwhile. */
export const dawdling = (deeds: readonly Deed[]): Promise<string> =>
  saga(async (s) => {
    if (deeds[0]?.does === 'dawdle' && workflowInfo().workflowId.startsWith('group:')) await sleep('1 minute');
    return s.step(operationAt('left'), deeds[0]);
  });

/** Commits inside a transaction, under an id that says nothing of it. */
export const named = (deeds: readonly Deed[]): Promise<readonly unknown[]> =>
  twoPhaseCommit(
    deeds.map((deed) => ({ ...operationAt(deed.at), input: deed })),
    { id: `named-by-itself-${deeds[0]?.ms ?? 0}` },
  );

/** Looks at a flag first, and does nothing where it is up. */
export const looksFirst = ([first, second]: readonly Deed[]): Promise<string> =>
  saga(async (s) => {
    if ((await isUp(s, first?.does)) > 0) throw ApplicationFailure.nonRetryable('The flag is up.');
    const done = await s.step(operationAt('left'), { at: 'left' });
    await s.step(operationAt('right'), { ...second });
    return done;
  });

const isUp = (s: Saga, flag: string | undefined): Promise<number> => {
  const look: BranchOperation<unknown, number, 'read-only'> = { participant: 'left', operation: 'look' };
  return s.step(look, { id: flag });
};

/** Writes what it reads. */
export const takesWhatItReads = ([first, second]: readonly Deed[]): Promise<void> =>
  saga(async (s) => {
    await s.step(operationAt('left'), { at: 'left', ms: await isUp(s, first?.does) });
    await s.step(operationAt('right'), { ...second });
  });

/** Its last step fails until a flag is up. */
export const mendsItsLast = ([first]: readonly Deed[]): Promise<void> =>
  saga(async (s) => {
    const isMended = (await isUp(s, first?.does)) > 0;
    await s.step(operationAt('left'), { at: 'left' });
    await s.pivot(operationAt('right'), { at: 'right' });
    await s.retriable(operationAt('right'), { at: 'right', ...(isMended ? {} : { does: 'fail' }) });
  });

/** Looks at a flag after its first step, and turns back where it is up. */
export const looksLater = ([first, second]: readonly Deed[]): Promise<void> =>
  saga(async (s) => {
    await s.step(operationAt('left'), { at: 'left' });
    if ((await isUp(s, first?.does)) > 0) throw ApplicationFailure.nonRetryable('The flag is up.');
    await s.step(operationAt('right'), { ...second });
  });

/** Where it is told to, leaves its group before it has asked for anything, and returns much. */
export const leavesWithMuch = ([first]: readonly Deed[]): Promise<string> =>
  saga(async (s) => {
    if (first?.does !== 'leave') return s.step(operationAt('left'), first);
    await s.step({ name: 'free', execute: async () => null, compensate: async () => undefined }, null);
    return 'x'.repeat(first.ms ?? 0);
  });

/** Two transactions side by side, of which the one that is awaited last is refused first. */
export const sideBySide = async ([first, second]: readonly Deed[]): Promise<void> => {
  const commit = twoPhaseCommit([
    { ...operationAt('left'), input: first },
    { ...operationAt('right'), input: second },
  ]);
  await saga(async (s) => {
    for (let i = 0; i < 3; i++) await s.step(operationAt('left'), { at: 'left', does: 'take long', ms: 300 });
  });
  await commit;
};

/** Withdraws as soon as it has asked, by a scope of its own, and catches what comes of it. */
export const withdrawing = async (deeds: readonly Deed[]): Promise<string> => {
  const scope = new CancellationScope();
  const committing = scope.run(() => atOnce(deeds));
  scope.cancel();
  try {
    await committing;
    return 'committed';
  } catch (error) {
    return error instanceof ApplicationFailure ? String(error.type) : 'cut off';
  }
};

/** Is turned back before it has done anything. */
export const beforeAll = (): Promise<void> =>
  saga(async () => {
    await sleep(1);
    throw ApplicationFailure.nonRetryable('Not today.');
  });

/** The second one decides. */
export const withPivot = ([first, second, third]: readonly Deed[]): Promise<void> =>
  saga(async (s) => {
    await s.step(operationAt('left'), first);
    await s.pivot(operationAt('right'), second);
    await s.retriable(operationAt('right'), third);
  });

const travelling = {
  inSteps,
  atOnce,
  buggy,
  shrugging,
  hasty,
  misplaced,
  strange,
  free,
  dawdling,
  named,
  looksFirst,
  takesWhatItReads,
  looksLater,
  leavesWithMuch,
  sideBySide,
  endsFirst,
  withdrawing,
  withPivot,
  transferMoney,
  transferMoneyAtomically,
};

/** Where a participant is away for as long as the test wants, its members stay: on a busy machine that takes seconds. */
export const runGroup = groupOf(travelling, { handOverAfter: '30 seconds', waitForStragglers: '500 milliseconds' });

/** Where a test is about who leaves, and would wait for that. */
export const runImpatientGroup = groupOf(travelling, {
  handOverAfter: '1 second',
  waitForStragglers: '300 milliseconds',
});

/** Where a test is about nothing that the clock decides. */
export const runPatientGroup = groupOf(travelling, { handOverAfter: '2 minutes', waitForStragglers: '2 minutes' });

/** Is not among those that travel. */
export const travelsAlone = (deeds: readonly Deed[]): Promise<readonly string[]> => inSteps(deeds);
