/** Sagas inside, beside and after one another, and steps that are no operation of a participant. */
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineSignal,
  defineUpdate,
  executeChild,
  proxyActivities,
  setHandler,
  sleep,
} from '@temporalio/workflow';
import type { DeclaredOperation } from '../../src/protocol';
import { participant, refusalOf, saga } from 'temporal-txn/workflow';
import type { FreeStep, SettledSagaReport } from 'temporal-txn/workflow';

type Operation = DeclaredOperation<null, string, 'compensatable'>;

interface Service {
  readonly name: string;
  readonly operations: { readonly first: Operation; readonly second: Operation; readonly third: Operation };
}

const svc = participant<Service>('svc');

const notes = proxyActivities<{ put(key: string): Promise<string>; remove(key: string): Promise<void> }>({
  taskQueue: 'notes',
  startToCloseTimeout: '10 seconds',
  retry: { maximumAttempts: 1 },
});

/** Is open for a day. */
export async function waiting(): Promise<void> {
  await saga(() => sleep('1 day'));
}

/** One step that is done, and one at each of these participants, which may refuse it, but not the last one. */
export function manyParticipants(names: readonly string[]): Promise<SettledSagaReport<void>> {
  return saga.settle(async (s) => {
    await s.step(participant<Service>('sagas').first, null);
    const asked = names.map((name) => s.step(participant<Service>(name, { colocated: true }).first, null));
    await Promise.allSettled(asked);
    await asked.at(-1);
  });
}

/** Two steps, one after the other. */
export async function twoSteps(input: string): Promise<string> {
  return saga(async (s) => {
    const first = await s.step(svc.first, null);
    const second = await s.step(svc.second, null);
    return `${input}: ${first}, ${second}`;
  });
}

/** The same steps under another workflow type. */
export async function otherTwoSteps(input: string): Promise<string> {
  return twoSteps(input);
}

/** A free-form step that is a saga of its own: nothing stays of it when it fails, so its compensation has to undo it only as a whole. */
const innerSaga: FreeStep<null, string> = {
  name: 'inner',
  execute: () =>
    saga(async (s) => {
      await s.step(svc.first, null);
      return s.step(svc.second, null);
    }),
  compensate: async ({ transaction }) => {
    await notes.put(`${transaction}: inner undone`);
  },
};

/** The inner saga runs between two steps of the outer one. */
export async function sagaInsideSaga(): Promise<string> {
  return saga(async (s) => {
    await s.step(svc.first, null);
    const inner = await s.step(innerSaga, null);
    await s.step(svc.third, null);
    return inner;
  });
}

/** The outer saga goes on when the inner one was undone. */
export async function innerFailureHandled(): Promise<string> {
  return saga(async (s) => {
    try {
      return await s.step(innerSaga, null);
    } catch {
      return s.step(svc.third, null);
    }
  });
}

/** A saga with two inside, each of which has two inside. @returns the ids of all of them, the outer ones first */
async function tree(depth: number): Promise<readonly string[]> {
  return saga(async (s) => {
    await s.step(svc.first, null);
    const ids = [s.id];
    for (const name of depth === 0 ? [] : ['left', 'right'])
      ids.push(...(await s.step({ name, execute: () => tree(depth - 1), compensate: async () => undefined }, null)));
    return ids;
  });
}

/** Two such trees: every saga does the same with the same input. */
export async function forest(): Promise<readonly string[]> {
  return [...(await tree(2)), ...(await tree(2))];
}

export const fillSignal = defineSignal('fill');
export const fillUpdate = defineUpdate('fill');

/** Runs a saga for each message, under a scope of its own. The first one is given up. */
function filling(): { fill: () => Promise<void>; ends: string[] } {
  const ends: string[] = [];
  let begun = 0;
  const fill = async (): Promise<void> => {
    const mine = begun++;
    const scope = new CancellationScope();
    const { id, outcome } = await scope.run(() =>
      saga.settle(async (s) => {
        if (mine === 0) scope.cancel();
        await s.step(svc.first, null);
      }),
    );
    ends[mine] = `${id} ${outcome}`;
  };
  return { fill, ends };
}

/** Listens only after a second, when some signals wait. */
export async function sagaForEachSignal(): Promise<readonly string[]> {
  const { fill, ends } = filling();
  await sleep('1 second');
  setHandler(fillSignal, fill);
  await condition(allHandlersFinished);
  return ends;
}

/** Listens from the start. */
export async function sagaForEachUpdate(): Promise<readonly string[]> {
  const { fill, ends } = filling();
  setHandler(fillUpdate, fill);
  await fill();
  await condition(allHandlersFinished);
  return ends;
}

export async function oneAfterAnother(): Promise<readonly SettledSagaReport<string>[]> {
  const one = await saga.settle((s) => s.step(svc.first, null));
  const two = await saga.settle((s) => s.step(svc.first, null));
  return [one, two];
}

export async function sideBySide(): Promise<readonly SettledSagaReport<string>[]> {
  const run = () => saga.settle((s) => s.step(svc.first, null).then(() => s.step(svc.second, null)));
  return Promise.all([run(), run()]);
}

/** Two sagas side by side; the first one is at its only step when the other one is between its two. */
const oneAndTwo = (): Promise<unknown> =>
  Promise.all([
    saga(async (s) => {
      await sleep('1 second');
      await s.step(svc.first, null);
    }),
    saga(async (s) => {
      await s.step(svc.first, null);
      await sleep('3 seconds');
      await s.step(svc.second, null);
    }),
  ]);

/** Fails as soon as one of them does. */
export async function allOrNothing(): Promise<void> {
  await oneAndTwo();
}

/** The same inside a saga. */
export async function allOrNothingInside(): Promise<void> {
  await saga(async (s) => {
    await s.step(svc.third, null);
    await oneAndTwo();
  });
}

/** Does not wait for its saga for longer than a moment. */
export async function raced(): Promise<string> {
  return Promise.race([takingLong(), sleep('2 seconds').then(() => 'late')]);
}

const takingLong = (id?: string): Promise<string> =>
  saga(
    async (s) => {
      await s.step(svc.first, null);
      await sleep('5 days');
      return s.step(svc.second, null);
    },
    id === undefined ? {} : { id },
  );

/** The same, inside a saga. */
export async function racedInside(): Promise<string> {
  return saga((s) => Promise.race([takingLong(), s.step(svc.third, null)]));
}

/** Waits for nothing of what it has begun, and fails. */
export async function failsBeside(): Promise<void> {
  void takingLong();
  await sleep('2 seconds');
  throw ApplicationFailure.nonRetryable('It went wrong elsewhere.', 'Elsewhere');
}

/** Continues as new beside a saga. */
export async function continuesBeside(round: number): Promise<string> {
  if (round > 1) return `round ${round}`;
  void takingLong('beside-as-new');
  await sleep('2 seconds');
  return continueAsNew<typeof continuesBeside>(round + 1);
}

/** A step that pays by a saga of its own, and then writes a note. */
const paying: FreeStep<string, void> = {
  name: 'pay',
  execute: async ({ input }) => {
    await saga((s) => s.step(svc.second, null));
    await notes.put(input);
  },
  compensate: async ({ input }) => {
    await saga((s) => s.step(svc.third, null));
    await notes.remove(input);
  },
};

/** Pays after the pivot. */
export async function paysAfterPivot(note: string): Promise<void> {
  await saga(async (s) => {
    await s.pivot(svc.first, null);
    await s.retriable(paying, note);
  });
}

/** Pays, and waits for a person where it is not known whether it has. */
export async function paysAsked(note: string): Promise<void> {
  await saga((s) => s.step(paying, note, { onUnknown: 'hold' }));
}

/** Pays, and is then undone. */
export async function paysBack(note: string): Promise<void> {
  await saga(async (s) => {
    await s.step(paying, note);
    await s.step(svc.first, null);
  });
}

/** Two sagas one after the other under one id: the second one does more. */
export async function twiceNamed(id: string): Promise<readonly SettledSagaReport<string>[]> {
  const one = await saga.settle((s) => s.step(svc.first, null), { id });
  const two = await saga.settle(
    async (s) => {
      await s.step(svc.first, null);
      await s.step(svc.third, null);
      return s.step(svc.second, null);
    },
    { id },
  );
  return [one, two];
}

/** Two transactions with ids of their own. */
export async function namedTransactions(ids: readonly string[]): Promise<readonly string[]> {
  const results: string[] = [];
  for (const id of ids) results.push(await saga((s) => s.step(svc.first, null), { id }));
  return results;
}

const timed: FreeStep<string, string> = {
  name: 'timed',
  async execute({ transaction, branch, input }) {
    await sleep('3 days');
    return notes.put(`${transaction}/${branch}/${input}`);
  },
  async compensate({ transaction, branch, input }, result) {
    await sleep('10 seconds');
    await notes.remove(`${transaction}/${branch}/${input}`);
    await notes.put(`removed ${result ?? 'nothing known'}`);
  },
};

/** A free-form step that waits three days, then a step of the participant. */
export async function freeFormWithTimers(note: string): Promise<string> {
  return saga(async (s) => {
    const kept = await s.step(timed, note);
    await s.step(svc.first, null);
    return kept;
  });
}

export async function writeNote(key: string): Promise<string> {
  await sleep('1 minute');
  return notes.put(key);
}

export async function eraseNote(key: string): Promise<void> {
  return notes.remove(key);
}

const inChild: FreeStep<string, string> = {
  name: 'inChild',
  execute: ({ transaction, branch, input }) =>
    executeChild(writeNote, { args: [input], workflowId: `${transaction}/${branch}` }),
  compensate: ({ transaction, branch, input }) =>
    executeChild(eraseNote, { args: [input], workflowId: `${transaction}/${branch}.undo` }),
};

/** A free-form step that is a child workflow. */
export async function freeFormChild(note: string): Promise<string> {
  return saga(async (s) => {
    const kept = await s.step(inChild, note);
    await s.step(svc.first, null);
    return kept;
  });
}

/** A free-form step that is the whole saga `twoSteps` in a child workflow. */
export async function sagaInChild(input: string): Promise<string> {
  const whole: FreeStep<string, string> = {
    name: 'whole',
    execute: (call) => executeChild(twoSteps, { args: [call.input], workflowId: `${call.transaction}.child` }),
    compensate: async ({ transaction }) => {
      await notes.put(`${transaction}: child undone`);
    },
  };
  return saga(async (s) => {
    const result = await s.step(whole, input);
    await s.step(svc.third, null);
    return result;
  });
}

const plain: FreeStep<string, string> = {
  name: 'note',
  execute: ({ input }) => notes.put(input),
  compensate: ({ input }) => notes.remove(input),
};

/** A free-form step whose compensation is an activity without retries of its own. */
export async function freeFormNote(note: string): Promise<string> {
  return saga(async (s) => {
    const kept = await s.step(plain, note);
    await s.step(svc.first, null);
    return kept;
  });
}

interface Kept {
  note: string;
}

const ofOrder: FreeStep<Kept, Kept> = {
  name: 'order',
  execute: async ({ input }) => ({ note: await notes.put(input.note) }),
  compensate: async ({ input }, result) => {
    await notes.remove(input.note);
    await notes.put(`removed ${result?.note}`);
  },
};

/** Goes on to change what it gave to a step, and what it got. */
export async function changesWhatItHas(note: string): Promise<void> {
  await saga(async (s) => {
    const order = { note };
    const kept = await s.step(ofOrder, order);
    order.note = kept.note = 'changed';
    await s.step(svc.first, null);
  });
}

/** What a free-form step may consist of, each of which says no when it is told to. */
const PARTS: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
  'an activity': (id) => notes.put(`${id}: one`),
  'two activities': async (id) => [await notes.put(`${id}: one`), await notes.put(`${id}: two`)],
  'an activity and a saga': async (id) => [await notes.put(`${id}: one`), await twoSteps(id)],
  'two sagas': async (id) => [await twoSteps(id), await twoSteps(id)],
  'a saga': (id) => twoSteps(id),
  'a child with two sagas': (id) => executeChild(oneAfterTheOther, { args: [id], workflowId: `${id}.child` }),
  'a child with a saga': (id) => executeChild(twoSteps, { args: [id], workflowId: `${id}.child` }),
  'a saga, and a no of its own': async (id) => {
    await twoSteps(id);
    throw ApplicationFailure.nonRetryable('no', 'Refusal');
  },
};

export async function oneAfterTheOther(input: string): Promise<string> {
  await twoSteps(input);
  return twoSteps(input);
}

/** A free-form step of such parts. */
export async function composed({ of, as }: { of: string; as: 'step' | 'pivot' }): Promise<SettledSagaReport<unknown>> {
  const parts: FreeStep<null, unknown> = {
    name: 'parts',
    execute: ({ transaction }) => (PARTS[of] as (id: string) => Promise<unknown>)(transaction),
    compensate: async ({ transaction }) => void (await notes.put(`${transaction}: parts undone`)),
  };
  return saga.settle((s) => s[as](parts, null));
}

const questioned = proxyActivities<{ has(key: string): Promise<boolean> }>({
  taskQueue: 'notes',
  startToCloseTimeout: '10 seconds',
});

const asked: FreeStep<string, string> = {
  ...plain,
  name: 'asked',
  query: async ({ input }) =>
    (await questioned.has(input)) ? { kind: 'done', result: `found ${input}` } : { kind: 'not-done' },
};

/** A free-form step that can be asked what became of it. */
export async function freeFormQuery(note: string): Promise<string> {
  return saga(async (s) => {
    try {
      return await s.step(asked, note, { onUnknown: 'query' });
    } catch (error) {
      return `not there (${refusalOf(error)?.code ?? 'not a refusal'})`;
    }
  });
}

export async function continuesAsNew(): Promise<string> {
  return saga(async (s) => {
    await s.step(svc.first, null);
    return continueAsNew<typeof continuesAsNew>();
  });
}

/** Continues as new between two sagas, where nothing can be lost. */
export async function continuesAsNewBetween(round: number): Promise<string> {
  const result = await saga((s) => s.step(svc.first, null), { id: `round-${round}` });
  return round < 3 ? continueAsNew<typeof continuesAsNewBetween>(round + 1) : result;
}

/** Runs both sagas into a held compensation of the same branch. */
export async function bothHeld(): Promise<readonly SettledSagaReport<string>[]> {
  const run = (id: string) =>
    saga.settle(
      async (s) => {
        await s.step(svc.first, null);
        return s.step(svc.second, null);
      },
      { id },
    );
  return Promise.all([run('left'), run('right')]);
}
