/**
 * What must hold: each answer from the moment that it is given, and in the end one decision, followed once by both, with nothing
 * left prepared, open, or given back unclean.
 */
import { isByHand, isDeserted, PLANS } from './plans';
import type { Place } from './plans';
import { AMOUNT } from './scene';
import type { Scene } from './scene';
import { NAMES } from './world';
import type { Name, Standing } from './world';

/** What one attempt was told. */
export interface Told {
  readonly place: Place;
  readonly name: Name;
  readonly type: string;
  readonly answer: Readonly<Record<string, unknown>>;
}

/** What the coordinator has been told in the end. */
export interface Known {
  readonly results: Partial<Record<Name, unknown>>;
  readonly xids: Partial<Record<Name, string>>;
  /** Acknowledgements that say something else than `applied`. */
  readonly strange: Partial<Record<Name, { readonly kind?: unknown; readonly took?: unknown }>>;
}

export class Judge {
  readonly #decisions = new Set<unknown>();
  readonly #refused = new Set<Name>();

  constructor(private readonly scene: Scene) {}

  /** It has voted abort. */
  hasRefused(name: Name): boolean {
    return this.#refused.has(name);
  }

  /** What was answered is so, and stays so, from the moment of the answer. */
  async hold({ place, name, type, answer }: Told, refusedBefore: boolean): Promise<void> {
    const { scene } = this;
    if (type === 'recovery.watch') return;
    if (type === 'recovery.decide' || type === 'decide') this.#decisions.add(answer['decision']);
    if (type === 'recovery.decide') return;
    const { states, prepared, effects } = await scene.standing(name);
    const shown = JSON.stringify({ states, prepared: prepared.length, effects });
    if (type === 'prepare') {
      if (answer['vote'] === 'abort') {
        this.#refused.add(name);
        scene.must(isOut(states) && prepared.length === 0, `${place} voted abort and it is not final: ${shown}`);
        await scene.allowLater(name);
      } else scene.must(!refusedBefore, `${place} voted commit after it had voted abort`);
      return;
    }
    const ack = (type === 'decide' ? answer['ack'] : answer) as Record<string, unknown>; // Cast: an answer of the package.
    if (ack['kind'] !== 'applied') return;
    const registered = await scene.registered();
    const done = registered === 'commit' ? isIn(states) && effects === 1 : isOut(states) && effects === 0;
    scene.must(done && prepared.length === 0, `${place} was acknowledged, the register has ${registered}: ${shown}`);
  }

  /** A vote to commit that is counted must be backed by what is prepared. */
  async believe({ place, name, type, answer }: Told): Promise<void> {
    if (type !== 'prepare' || answer['vote'] !== 'commit') return;
    const { states, prepared } = await this.scene.standing(name);
    const backed = prepared.length === 1 || states.length === 1;
    this.scene.must(backed, `${place} voted commit, and nothing is prepared`);
  }

  /** When all is over. */
  async conclude(known: Known): Promise<void> {
    const { scene } = this;
    const registered = await this.#concludeDecision();
    const standing = { north: await scene.standing('north'), south: await scene.standing('south') };
    for (const name of NAMES)
      if (name === 'south' && isByHand(scene.plan)) this.#concludeByHand(registered, standing.south, known);
      else this.#concludeBranch(name, registered, standing[name], known);
    if (!isByHand(scene.plan)) {
      const total = standing.north.balance + standing.south.balance;
      scene.must(total === scene.northHad, `there is ${total} in all, and ${scene.northHad} was paid in`);
    }
    for (const name of NAMES) await this.#concludePool(name);
    scene.must(scene.looks >= 4, `only ${scene.looks} looks were taken`);
  }

  async #concludeDecision(): Promise<string | undefined> {
    const { scene } = this;
    const registered = await scene.registered();
    const expected = PLANS[scene.plan];
    const mayAbort = scene.plan === 'impatient' || scene.blows.some(({ fault }) => fault === 'rival');
    scene.must(
      registered === expected || (registered === 'abort' && mayAbort),
      `the register has ${registered}, which should be ${expected}`,
    );
    this.#decisions.add(registered);
    scene.must(this.#decisions.size === 1, `several decisions were told: ${[...this.#decisions].join(', ')}`);
    return registered;
  }

  /** A person has finished south: it may have been otherwise than was decided, and then it says so. */
  #concludeByHand(registered: string | undefined, standing: Standing, { strange, xids }: Known): void {
    const shown = show(standing);
    const ack = strange.south;
    this.scene.must(standing.prepared.length === 0, `south has something prepared: ${shown}`);
    const took = standing.effects === 1 ? 'commit' : 'abort';
    if (registered === took) return;
    // Without the xid of an answer that was lost, PostgreSQL cannot be asked what became of it.
    const isTold = (ack?.kind === 'heuristic' && ack.took === took) || (ack?.kind === 'lost' && !xids.south);
    this.scene.must(isTold, `a person finished south otherwise, and it answered ${JSON.stringify(ack)}: ${shown}`);
  }

  #concludeBranch(name: Name, registered: string | undefined, standing: Standing, { results, strange }: Known): void {
    const { scene } = this;
    const { states, prepared, effects, balance } = standing;
    const shown = show(standing);
    scene.must(prepared.length === 0, `${name} has something prepared: ${shown}`);
    scene.must(strange[name] === undefined, `${name} answered ${JSON.stringify(strange[name])}`);
    const [sign, before] = name === 'north' ? [-1, scene.northHad] : [1, 0];
    if (registered === 'commit') {
      const after = before + sign * AMOUNT;
      scene.must(isIn(states), `${name} should be applied: ${shown}`);
      scene.must(effects === 1, `${name} should have one effect: ${shown}`);
      scene.must(balance === after, `${name} should have been changed once: ${shown}`);
      if (isDeserted(scene.plan)) return;
      const result = results[name] as { balance?: number } | undefined; // Cast: what its operation returns.
      scene.must(
        result?.balance === after,
        `the coordinator has another result of ${name}: ${JSON.stringify(results[name])}`,
      );
    } else {
      // A branch of a deserted transaction that nothing is left of has no row, and needs none.
      scene.must(isOut(states), `${name} should be fenced off: ${shown}`);
      scene.must(effects === 0, `${name} should have no effect: ${shown}`);
      scene.must(balance === before, `${name} should not have been changed: ${shown}`);
    }
  }

  /** Every connection is given back, in no transaction, and as it was. */
  async #concludePool(name: Name): Promise<void> {
    const { scene } = this;
    const { pool } = scene.lane.at(name);
    scene.must(
      pool.totalCount === pool.idleCount && pool.waitingCount === 0,
      `${name} has ${pool.totalCount - pool.idleCount} connections not given back`,
    );
    const clients = await Promise.all(Array.from({ length: Math.max(1, pool.idleCount) }, () => pool.connect()));
    for (const client of clients) {
      const { rows } = await client.query<Record<string, unknown>>(
        `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
                current_setting('idle_in_transaction_session_timeout') as idle, current_setting('application_name') as name,
                now() = statement_timestamp() as fresh`,
      );
      client.release();
      scene.looks++;
      const clean = { statement: '0', lock: '0', idle: '0', name: scene.lane.label, fresh: true };
      const found = JSON.stringify(rows[0]);
      scene.must(found === JSON.stringify(clean), `a pooled connection to ${name} is not clean: ${found}`);
    }
  }
}

const show = ({ states, prepared, effects, balance }: Standing): string =>
  JSON.stringify({ states, prepared: prepared.length, effects, balance });
const isIn = (states: readonly string[]): boolean => states.length === 1 && states[0] === 'applied';
const isOut = (states: readonly string[]): boolean =>
  states.length === 1 && (states[0] === 'fenced' || states[0] === 'refused');
