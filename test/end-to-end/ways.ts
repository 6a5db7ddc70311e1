/**
 * The two ways in which transactions reach the workers: each in a workflow of its own, or in groups. A test that asks its shop for
 * them runs unchanged in both. In groups, what it starts is executed by a client that groups, together with a companion of the same
 * kind, because a transaction that is alone does not travel; and whoever asks how it stands is told so where it is at the time.
 */
import { Client } from '@temporalio/client';
import type { WorkflowClientInterceptor } from '@temporalio/client';
import {
  connectTemporal,
  TransactionAborted,
  TransactionClient,
  TransactionCompensated,
  TransactionHandle,
  TransactionInterrupted,
  TransactionNotFound,
  TransactionNotInterrupted,
} from 'temporal-txn/client';
import type { StartOptions, TransactionWorkflow } from 'temporal-txn/client';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { Shop } from '../../demo/shop';
import { GROUP_WORKFLOW } from '../../src/protocol';
import type { GroupRequest, TransactionReport } from '../../src/protocol';
import type { Transfer } from '../../workflows/bank-transfer';
import { expectOrderOnce, expectTransferOnce, newId } from './fixture';
import { ATOMICALLY, expectObeyed } from './two-phase-fixture';

export const WAYS = ['alone', 'in groups'] as const;
export type Way = (typeof WAYS)[number];

/** The same shop, with transactions that go this way. Call it in a `describe`, and the result in a test. */
export function useWay(way: Way, shop: () => Shop): () => Shop {
  if (way === 'alone') return shop;
  let travelling: TravellingClient | undefined;
  const client = (): TravellingClient => {
    if (!travelling) throw new Error('There are groups only while tests run.');
    return travelling;
  };
  beforeAll(async () => {
    const { address, namespace } = shop().stack.temporal;
    travelling = new TravellingClient(await connectTemporal({ address, namespace }));
    for (const bank of ['north-bank', 'south-bank'] as const)
      for (const account of COMPANIONS) await openAccount(shop(), bank, account, 100_000);
  });
  // Where a test has failed, nobody may come to an end.
  afterEach(({ task }) => (task.result?.state === 'fail' ? undefined : client().expectAllTravelled(shop())));
  afterAll(() => travelling?.disconnect());
  return () => ({ ...shop(), transactions: client(), terminate: (id) => client().terminate(id) });
}

/** An account of nobody who is in the tests. */
export async function openAccount(
  { databases }: Shop,
  bank: Transfer['from']['bank'],
  id: string,
  balance: number,
): Promise<void> {
  await databases[bank].query(
    `with opened as (insert into account (id, owner, currency, balance) values ($1, 'Somebody', 'EUR', $2) returning id)
     insert into entry (account, kind, amount, transaction_id, branch_id) select id, 'opening', $2, 'opening', id from opened`,
    [id, balance],
  );
}

/** Accounts of companions at both banks: they do not wait for what a test has locked, nor often for each other. */
const COMPANIONS = Array.from({ length: 8 }, (_, n) => `companion-${n + 1}`);

/** What travels beside a transaction of a test. */
interface Companion {
  readonly id: string;
  readonly type: string;
  readonly input: object;
  readonly end: Promise<'committed' | 'turned back'>;
}

/** A transaction that was executed, until its end. */
interface Journey {
  /** What its caller hears. Settles when its companion has ended too, so that the books are complete then. */
  readonly answer: Promise<unknown>;
  ended: boolean;
}

class TravellingClient extends TransactionClient {
  readonly #client: Client;
  readonly #grouping: TransactionClient;
  readonly #journeys = new Map<string, Journey>();
  readonly #companions = new Map<string, Companion>();
  /** By the ids of their transactions, the last ones that they were in. */
  readonly #groups = new Map<string, string>();
  #unchecked: string[] = [];

  constructor({ connection, options }: Client) {
    const client = new Client({
      connection,
      namespace: options.namespace,
      interceptors: { workflow: [noting((...of) => this.#note(...of))] },
    });
    super({ client });
    this.#client = client;
    this.#grouping = new TransactionClient({ client, grouping: true, patienceMs: 60_000 });
  }

  #note(group: string, { items }: GroupRequest): void {
    for (const { id } of items) this.#groups.set(id, group);
  }

  /** Executes it in a group, and does not wait for its end. */
  override async start<I, R>(
    workflow: TransactionWorkflow<I, R>,
    options: StartOptions<I>,
  ): Promise<TransactionHandle<R>> {
    this.#travel(options.id, this.#grouping.execute(workflow, options), this.#accompany(workflow, options));
    return this.handle(options.id);
  }

  #travel(id: string, execution: Promise<unknown>, companion?: Companion): void {
    const both = Promise.allSettled([execution, companion?.end]);
    const journey: Journey = { answer: both.then(() => execution), ended: false };
    void both.then(() => (journey.ended = true));
    journey.answer.catch(() => undefined); // Whoever asks for it hears it.
    this.#journeys.set(id, journey);
  }

  #accompany<I, R>(workflow: TransactionWorkflow<I, R>, { id, input }: StartOptions<I>): Companion {
    const known = this.#companions.get(id);
    if (known) return known;
    this.#unchecked.push(id);
    const type = typeof workflow === 'string' ? workflow : workflow.name;
    const own = newId('companion');
    const its = companionOf(type, input as object, own, this.#companions.size); // Cast: all of them take objects.
    const end = this.#endOf(type, own, its);
    end.catch(() => undefined); // Told by `expectAllTravelled`.
    const companion = { id: own, type, input: its, end };
    this.#companions.set(id, companion);
    return companion;
  }

  /** Goes on with it as often as somebody terminates what it travels in. */
  async #endOf(type: string, id: string, input: object): Promise<'committed' | 'turned back'> {
    try {
      await this.#grouping.execute(type, { id, input });
      return 'committed';
    } catch (error) {
      if (error instanceof TransactionCompensated || error instanceof TransactionAborted) return 'turned back';
      if (!(error instanceof TransactionInterrupted)) throw error;
      await this.#resumed(type, { id, input });
      return this.#endOf(type, id, input);
    }
  }

  /** What a client does that hears of an interruption: one that has no workflow of its own it executes again. */
  override async resume<I, R>(
    workflow: TransactionWorkflow<I, R>,
    options: StartOptions<I>,
  ): Promise<TransactionHandle<R>> {
    await this.#resumed(workflow, options);
    this.#travel(options.id, this.#grouping.execute(workflow, options));
    return this.handle(options.id);
  }

  async #resumed<I, R>(workflow: TransactionWorkflow<I, R>, options: StartOptions<I>): Promise<void> {
    try {
      await super.resume(workflow, options);
    } catch (error) {
      if (!(error instanceof TransactionNotFound) && !(error instanceof TransactionNotInterrupted)) throw error;
    }
  }

  override handle<R = unknown>(id: string): TransactionHandle<R> {
    const journey = this.#journeys.get(id);
    return journey ? new TravellingHandle(this.#client, id, journey, () => this.#groups.get(id)) : super.handle(id);
  }

  /** Ends what coordinates a transaction: its own workflow, if it has one that runs, and else its group. */
  async terminate(id: string): Promise<void> {
    const group = this.#groups.get(id);
    const end = (workflow: string) => this.#client.workflow.getHandle(workflow).terminate('by a test');
    await end(id).catch((error: unknown) => {
      if (group === undefined) throw error;
      return end(group);
    });
  }

  /** Otherwise nothing was tested: every one has been in a group. And its companion is in the books as it has ended. */
  async expectAllTravelled(shop: Shop): Promise<void> {
    const ids = this.#unchecked;
    this.#unchecked = [];
    for (const id of ids) {
      const { status } = await this.#client.workflow.getHandle(this.#groups.get(id) ?? 'none').describe();
      // A group fails where the workers let nothing of its type travel.
      expect(status.name, `the group of ${id}`).toMatch(/COMPLETED|TERMINATED/);
    }
    for (const id of ids) {
      const { id: own, type, input, end } = this.#companions.get(id) as Companion; // Cast: it was set together with the id.
      await expectInBooks(shop, own, type, input, await end);
    }
  }

  async disconnect(): Promise<void> {
    await this.#client.connection.close();
  }
}

/** Tells of each group that is started. */
const noting = (note: (group: string, request: GroupRequest) => void): WorkflowClientInterceptor => ({
  startWithDetails: async (input, next) => {
    const started = await next(input);
    const { workflowId, args } = input.options;
    if (input.workflowType === GROUP_WORKFLOW) note(workflowId, args[0] as GroupRequest); // Cast: that is what groups take.
    return started;
  },
});

class TravellingHandle<R> extends TransactionHandle<R> {
  readonly #workflow: (id: string) => ReturnType<Client['workflow']['getHandle']>;

  constructor(
    client: Client,
    id: string,
    private readonly journey: Journey,
    private readonly group: () => string | undefined,
  ) {
    super(client, id);
    this.#workflow = (workflow) => client.workflow.getHandle(workflow);
  }

  override async result(): Promise<R> {
    return (await this.journey.answer) as R; // Cast: the caller named the workflow and so its result.
  }

  override async status(): Promise<string> {
    return this.journey.ended ? 'ENDED' : 'RUNNING';
  }

  override async reports<Protocol extends TransactionReport['protocol'] = TransactionReport['protocol']>() {
    type Reports = readonly Extract<TransactionReport, { readonly protocol: Protocol }>[];
    try {
      return await super.reports<Protocol>();
    } catch (error) {
      const group = this.group();
      if (!(error instanceof TransactionNotFound)) throw error;
      if (group === undefined) return [];
      return (await this.#workflow(group).query<Reports>('report')).filter(({ id }) => id === this.id);
    }
  }
}

/**
 * The same on other accounts, or under another number. By two-phase commit the other way round, so that the banks change places: what
 * is to happen to a primary happens to the transaction of the test.
 */
function companionOf(type: string, input: object, id: string, n: number): object {
  if (!isTransfer(input)) return { ...input, order: id.toUpperCase() };
  const account = COMPANIONS[n % COMPANIONS.length] as string; // Cast: there are some.
  const from = { ...input.from, account };
  const to = { ...input.to, account: input.to.account === 'nobody' ? 'nobody' : account };
  if (type !== ATOMICALLY) return { ...input, from, to };
  return { ...input, from: { ...from, bank: to.bank }, to: { ...to, bank: from.bank } };
}

const isTransfer = (input: object): input is Transfer => 'from' in input;

async function expectInBooks(
  shop: Shop,
  id: string,
  type: string,
  input: object,
  end: 'committed' | 'turned back',
): Promise<void> {
  const committed = end === 'committed';
  if (!isTransfer(input)) {
    await expectOrderOnce(shop, id, committed ? end : 'compensated', type === 'processOrder' ? 1 : 0);
  } else if (type === ATOMICALLY) {
    expect((await expectObeyed(shop, id, input)) === 'commit', `${id} ended ${end}`).toBe(committed);
  } else await expectTransferOnce(shop, id, input, committed ? end : 'compensated');
}
