/** What one transfer takes place in: its accounts, what the databases say of it, and the transcript of what went on. */
import { randomBytes } from 'node:crypto';
import { keyOf } from 'temporal-txn/participant';
import { tellBlow } from './plans';
import type { Blow, Plan } from './plans';
import type { Lane, Name, Standing, World } from './world';

const FUNDS = 100;
export const AMOUNT = 30;

export class Scene {
  readonly transaction: string;
  readonly broken: string[] = [];
  /** How often something was held against a database. */
  looks = 0;
  readonly #began = Date.now();
  readonly #transcript: string[] = [];
  readonly #accounts: Readonly<Record<Name, string>>;
  #northHad = FUNDS;

  constructor(
    readonly world: World,
    readonly lane: Lane,
    readonly plan: Plan,
    readonly blows: readonly Blow[],
  ) {
    this.transaction = `${lane.label}${randomBytes(6).toString('hex')}`;
    this.#accounts = { north: `${this.transaction}-n`, south: `${this.transaction}-s` };
  }

  /** What north has been paid in so far. */
  get northHad(): number {
    return this.#northHad;
  }

  /** Each account as the plan wants it: one that is to refuse has no funds, or is not there. */
  async set(): Promise<void> {
    if (this.plan === 'north refuses' || this.plan === 'repeated abort') this.#northHad = 0;
    await this.world.rows('north', 'insert into account values ($1, $2)', [this.#accounts.north, this.#northHad]);
    if (this.plan !== 'south refuses') await this.#openSouth();
  }

  /** What made it refuse is gone: a late attempt that is not fenced would now take effect. */
  async allowLater(name: Name): Promise<void> {
    if (name === 'south') return this.#openSouth();
    if (this.#northHad >= FUNDS) return;
    this.#northHad += FUNDS;
    await this.world.rows('north', 'update account set balance = balance + $2 where id = $1', [
      this.#accounts.north,
      FUNDS,
    ]);
  }

  async #openSouth(): Promise<void> {
    await this.world.rows('south', 'insert into account values ($1, 0) on conflict do nothing', [this.#accounts.south]);
  }

  /** What a branch is asked with. */
  request(name: Name): object {
    const swallow = this.plan === 'south swallows' && name === 'south';
    return {
      transaction: this.transaction,
      branch: name,
      input: { account: this.#accounts[name], amount: AMOUNT, ...(swallow ? { swallow } : {}) },
      register: 'north',
      token: 'x',
      votes: 'answer',
    };
  }

  /** What recovery asks the register with. */
  get entry(): object {
    return { key: keyOf(this.transaction), transaction: this.transaction };
  }

  async standing(name: Name): Promise<Standing> {
    this.looks++;
    return this.world.standing(name, this.transaction, this.#accounts[name]);
  }

  async registered(): Promise<string | undefined> {
    this.looks++;
    const rows = await this.world.rows<{ outcome: string }>(
      'north',
      'select outcome from txn.decision where transaction_key = $1',
      [keyOf(this.transaction)],
    );
    return rows[0]?.outcome;
  }

  note(what: string): void {
    this.#transcript.push(`${String(Date.now() - this.#began).padStart(5)} ms  ${what}`);
  }

  must(holds: boolean, what: string): void {
    if (!holds) this.break(what);
  }

  break(what: string): void {
    this.broken.push(what);
    this.note(`BROKEN: ${what}`);
  }

  explain(): string {
    const head = `${this.plan}: ${this.blows.map(tellBlow).join(' + ') || 'no fault'}`;
    const broken = this.broken.map((what) => `  BROKEN: ${what}`);
    return [head, ...broken, ...this.#transcript.map((line) => `    ${line}`)].join('\n');
  }
}
