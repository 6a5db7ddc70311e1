/** A transaction at a client that groups, from its call to its end: where it is, and who waits for it. */
import type { CarriedTrace } from '../protocol';
import type { Queued } from './group-queue';
import type { CheckedInput } from './request';
import type { Guest } from './room';
import type { WaitOptions } from './temporal-calls';

/** A transaction, and how it would go without a group. */
export interface Grouped extends CheckedInput {
  readonly id: string;
  readonly type: string;
  readonly tenant?: string;
  readonly summary?: string;
  /** That of its caller. */
  readonly trace?: CarriedTrace;
  /** Starts a workflow of its own, or finds the one that has its id. */
  readonly start: () => Promise<unknown>;
  /** Waits for that workflow. */
  readonly follow: (wait: WaitOptions) => Promise<unknown>;
}

export interface Entry extends Queued, Guest, Omit<Grouped, 'tenant'> {
  /** In the queue, under way, or in a workflow of its own that is known to be there. */
  place: 'queue' | 'group' | 'workflow';
  /** How many callers wait for it. */
  callers: number;
  readonly ended: Promise<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Never rejects. */
  readonly over: Promise<void>;
  /** Resolves when it has ended, or need not be waited for because it has had a workflow of its own for a while. */
  readonly settled: Promise<void>;
  readonly settle: () => void;
}

export function entryOf({ tenant = '', ...grouped }: Grouped): Entry {
  let resolve: Entry['resolve'] = nothing;
  let reject: Entry['reject'] = nothing;
  const ended = new Promise<unknown>((...both) => {
    [resolve, reject] = both;
  });
  const over = ended.then(nothing, nothing);
  let settle: Entry['settle'] = nothing;
  const settled = new Promise<void>((settling) => (settle = settling));
  void over.then(settle);
  const bytes = grouped.bytes + Buffer.byteLength(grouped.summary ?? '');
  return { ...grouped, tenant, bytes, place: 'queue', callers: 0, ended, resolve, reject, over, settled, settle };
}

const nothing = (): void => undefined;
