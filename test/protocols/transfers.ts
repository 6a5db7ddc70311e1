/** The same transfer by each of the four protocols at once, through one failure, and what can be seen of it. */
import type { Pool } from 'pg';
import type { ProtocolOutcome } from '../../bench/protocols/outcomes';
import { WAYS, WORKFLOWS, workflowsOf } from '../../bench/protocols/ways';
import type { Way } from '../../bench/protocols/ways';
import type { Bank, Transfer } from '../../bench/transfer';
import { TransactionInterrupted } from '../../src/client';
import { until } from '../end-to-end/fixture';
import { BANKS } from './company';
import type { Company } from './company';

/** What the database of a bank holds of a transfer. */
export interface Standing {
  /** What its committed entries come to. */
  readonly net: number;
  readonly entries: number;
  readonly prepared: number;
  readonly tried: number;
  /** Rows of the branch log that say that its operation took effect. */
  readonly done: number;
  readonly refused: number;
  readonly decision: 'commit' | 'abort' | null;
  readonly decidedBy: string | null;
}

const STANDING = `
  select (select coalesce(sum(amount), 0)::int from entry where transaction_id = $1) as net,
         (select count(*)::int from entry where transaction_id = $1) as entries,
         (select count(*)::int from txn.preparation p join pg_prepared_xacts x using (gid)
           where p.transaction_id = $1) as prepared,
         (select count(*)::int from txn.branch where transaction_id = $1 and state = 'tried') as tried,
         (select count(*)::int from txn.branch where transaction_id = $1 and state = 'applied') as done,
         (select count(*)::int from txn.branch where transaction_id = $1 and state = 'refused') as refused,
         (select outcome from txn.decision where transaction_id = $1) as decision,
         (select decided_by from txn.decision where transaction_id = $1) as "decidedBy"`;

const PATIENCE_MS = 60_000;

/** What there was to be seen of a transfer while something was broken. */
type Look = Pick<ProtocolOutcome, 'seen' | 'kept'>;

let accounts = 0;

export class Transfers {
  readonly #accounts: Readonly<Record<Way, string>>;
  readonly #looks = new Map<Way, Look>();
  #struck = 0;
  #terminated = false;

  /** @param to the account that is paid, where it is not one that there is */
  constructor(
    private readonly company: Company,
    private readonly name: string,
    private readonly to?: string,
  ) {
    const first = accounts;
    accounts += WAYS.length;
    this.#accounts = Object.fromEntries(WAYS.map((way, i) => [way, `account-${first + i}`])) as Record<Way, string>;
  }

  async start(ways: readonly Way[] = WAYS): Promise<void> {
    await Promise.all(
      ways.map((way) =>
        this.company.transactions.start(WORKFLOWS[way], { id: this.#id(way), input: this.#inputOf(way) }),
      ),
    );
  }

  /** Waits until it is so at a bank for the transfers. */
  until(what: string, bank: Bank, isSo: (standing: Standing) => boolean, ways: readonly Way[] = WAYS): Promise<void> {
    return until(
      `${this.name}: ${what}`,
      async () => (await Promise.all(ways.map((way) => this.#at(bank, way)))).every(isSo),
      PATIENCE_MS,
    );
  }

  /** Breaks something, and looks at what there is to be seen while it is broken. */
  async strike(blow: () => Promise<unknown>): Promise<void> {
    const before = new Map(await Promise.all(WAYS.map(async (way) => [way, await this.#nets(way)] as const)));
    this.#struck = Date.now();
    await blow();
    await this.#look(before);
  }

  /** What was broken before took time that is none of the protocol's. */
  countFromNow(): void {
    this.#struck = Date.now();
  }

  async terminate(): Promise<void> {
    this.#terminated = true;
    await Promise.all(WAYS.map((way) => this.company.client.workflow.getHandle(this.#id(way)).terminate('by a test')));
  }

  /** Waits until nothing of any transfer is left open, and says how each ended. */
  async settled(): Promise<Record<Way, ProtocolOutcome>> {
    const entries: [Way, ProtocolOutcome][] = [];
    const own = WAYS.filter((way) => !(way === 'saga' && this.#terminated));
    const seconds = new Map(await Promise.all(own.map(async (way) => [way, await this.#settle(way)] as const)));
    for (const way of WAYS) {
      const took = seconds.get(way) ?? null;
      const by = took === null ? await this.#resumeSaga() : await this.#finisherOf(way);
      const look = this.#looks.get(way) ?? { seen: 'nothing', kept: 'nothing' };
      entries.push([way, { outcome: await this.#outcomeOf(way), ...look, by, seconds: took }]);
    }
    return Object.fromEntries(entries) as Record<Way, ProtocolOutcome>; // Cast: the loop has filled it.
  }

  #id(way: Way): string {
    return `${this.name}-${way}`;
  }

  #inputOf(way: Way): Transfer {
    const account = this.#accounts[way];
    return { from: account, to: this.to ?? account, amount: 100, currency: 'EUR' };
  }

  async #at(bank: Bank, way: Way): Promise<Standing> {
    const { rows } = await this.company.banks[bank].query<Standing>(STANDING, [this.#id(way)]);
    return rows[0]!;
  }

  /** What is committed of a transfer at each bank. Undefined where the database is away. */
  async #nets(way: Way): Promise<readonly (number | undefined)[]> {
    return Promise.all(
      BANKS.map((bank) =>
        this.#at(bank, way).then(
          ({ net }) => net,
          () => undefined,
        ),
      ),
    );
  }

  async #look(before: ReadonlyMap<Way, readonly (number | undefined)[]>): Promise<void> {
    await Promise.all(
      WAYS.map(async (way) => {
        const now = await this.#nets(way);
        const [north, south] = now.map((net, i) => net ?? before.get(way)?.[i] ?? 0);
        const kept = await Promise.all(BANKS.map((bank) => keptAt(this.company.banks[bank], this.#accounts[way])));
        this.#looks.set(way, {
          seen: (north === 0) === (south === 0) ? 'nothing' : 'half',
          kept: kept.find((one) => one === 'locked') ?? kept.find((one) => one === 'reserved') ?? 'nothing',
        });
      }),
    );
  }

  /** @returns after how many seconds it was settled */
  async #settle(way: Way): Promise<number> {
    await until(`${this.#id(way)} is settled`, () => this.#isSettled(way).catch(() => false), PATIENCE_MS);
    return Math.round((Date.now() - this.#struck) / 1_000);
  }

  async #isSettled(way: Way): Promise<boolean> {
    const [north, south] = await Promise.all([this.#at('north-bank', way), this.#at('south-bank', way)]);
    const open = north.prepared + south.prepared + north.tried + south.tried;
    if (open > 0 || (north.net === 0) !== (south.net === 0)) return false;
    return this.#terminated || (await this.#statusOf(this.#id(way))) !== 'RUNNING';
  }

  async #statusOf(workflowId: string): Promise<string> {
    return (await this.company.client.workflow.getHandle(workflowId).describe()).status.name;
  }

  async #finisherOf(way: Way): Promise<ProtocolOutcome['by']> {
    if (!this.#terminated) return 'coordinator';
    const id = this.#id(way);
    const [, ...participants] = workflowsOf(way, id);
    await until(`the participants of ${id} have ended`, async () =>
      (await Promise.all(participants.map((one) => this.#statusOf(one)))).every((status) => status === 'COMPLETED'),
    );
    // What the coordinator had decided, it could not finish any more; what it had not, somebody else has decided.
    const { decidedBy } = await this.#at('north-bank', way);
    const others = participants.length > 0 ? participants : BANKS.map((bank) => `recovery:${bank}`);
    if (decidedBy !== 'coordinator' && !others.some((other) => decidedBy?.endsWith(other)))
      throw new Error(`${id} was decided by ${decidedBy}.`);
    return participants.length > 0 ? 'participants' : 'recovery';
  }

  /** Nobody goes on with a terminated saga until somebody resumes it. */
  async #resumeSaga(): Promise<'client.resume' | 'nobody'> {
    const id = this.#id('saga');
    const { transactions } = this.company;
    const isHalf = !(await this.#isSettled('saga'));
    const interrupted = await transactions
      .handle(id)
      .result()
      .catch((error: unknown) => error);
    if (!(interrupted instanceof TransactionInterrupted)) throw new Error(`${id} was not interrupted.`);
    const handle = await transactions.resume<Transfer, number>(WORKFLOWS.saga, { id, input: this.#inputOf('saga') });
    await handle.result();
    return isHalf ? 'client.resume' : 'nobody';
  }

  async #outcomeOf(way: Way): Promise<ProtocolOutcome['outcome']> {
    const [north, south] = await Promise.all([this.#at('north-bank', way), this.#at('south-bank', way)]);
    if (north.net !== 0 && south.net !== 0) return 'committed';
    if (north.net !== 0 || south.net !== 0) throw new Error(`${this.#id(way)} is half done.`);
    if (north.entries + south.entries > 0) return 'undone';
    return north.decision === 'abort' ? 'aborted' : 'nothing';
  }
}

/** Whether the row of an account is locked, or anything on it is reserved, as somebody else finds it. */
async function keptAt(pool: Pool, account: string): Promise<Look['kept']> {
  try {
    const { rows } = await pool.query<{ reserved: boolean }>(
      'select held + expected > 0 as reserved from account where id = $1 for update nowait',
      [account],
    );
    return rows[0]?.reserved ? 'reserved' : 'nothing';
  } catch (error) {
    // Otherwise its database is away, and nobody waits for anything there.
    return (error as { readonly code?: string }).code === '55P03' ? 'locked' : 'nothing';
  }
}
