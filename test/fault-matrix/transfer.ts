/** One transfer from north to south: the part of the coordinator's workflow, without Temporal, and of those who step in for it. */
import { keyOf } from 'temporal-txn/participant';
import type { Settleable } from 'temporal-txn/participant';
import { Attempts } from './attempts';
import type { Question } from './attempts';
import { Judge } from './judge';
import type { Known, Told } from './judge';
import { isByHand, isRepeated } from './plans';
import type { Blow, Place, Plan, Spot } from './plans';
import { Scene } from './scene';
import { NAMES } from './world';
import type { Lane, Name, World } from './world';

type Decision = 'commit' | 'abort';

export class Transfer {
  readonly #scene: Scene;
  readonly #judge: Judge;
  readonly #attempts: Attempts;
  readonly #known: Known = { results: {}, xids: {}, strange: {} };

  constructor(world: World, lane: Lane, plan: Plan, blows: readonly Blow[] = []) {
    this.#scene = new Scene(world, lane, plan, blows);
    this.#judge = new Judge(this.#scene);
    this.#attempts = new Attempts(this.#scene, this.#judge);
  }

  /** Statements by place. */
  get recorded(): readonly Spot[] {
    return this.#attempts.recorded;
  }

  get broken(): readonly string[] {
    return this.#scene.broken;
  }

  get looks(): number {
    return this.#scene.looks;
  }

  explain(): string {
    return this.#scene.explain();
  }

  /** Runs it, and holds what became of it against every promise. */
  async run(): Promise<this> {
    const scene = this.#scene;
    await scene.set();
    try {
      await this.#coordinate();
    } catch (error) {
      scene.break(`the coordinator failed: ${String(error)}`);
    }
    await this.#attempts.untilQuiet();
    if (scene.blows.length === 1) scene.must(this.#attempts.blows.firstHasStruck, 'the fault met no statement');
    await this.#judge.conclude(this.#known);
    return this;
  }

  /** Whether nothing is wrong but that its fault met no statement: on a busy machine an attempt may end before it comes so far. */
  get hasOnlyMissed(): boolean {
    return this.broken.length === 1 && this.#scene.blows.length === 1 && !this.#attempts.blows.firstHasStruck;
  }

  async #coordinate(): Promise<void> {
    const { plan } = this.#scene;
    const votes = { north: await this.#vote('north'), south: 'none' as unknown };
    if (plan !== 'unasked') votes.south = await this.#vote('south');
    const isCalledOff = plan === 'withdrawn' || plan === 'committed by hand';
    const propose = votes.north === 'commit' && votes.south === 'commit' && !isCalledOff ? 'commit' : 'abort';
    if (plan === 'deserted before the decision') return this.#recover();
    const decision = await this.#decide('north decide', propose);
    if (plan === 'deserted after the decision') return this.#recover();
    if (plan === 'rolled back by hand') await this.#byHand('rollback');
    if (plan === 'committed by hand') await this.#byHand('commit');
    await this.#finish(`south ${decision}${isByHand(plan) ? ' after a person' : ''}`, decision);
    if (!isRepeated(plan)) return;
    await this.#decide('north decide again', propose === 'commit' ? 'abort' : 'commit');
    await this.#finish(`south ${decision} again`, decision);
    await this.#attempts.ask({ place: 'south prepare, late', name: 'south', type: 'prepare' });
    await this.#attempts.ask({ place: 'north prepare, retried late', name: 'north', type: 'prepare', first: 2 });
  }

  async #vote(name: Name): Promise<unknown> {
    const { plan } = this.#scene;
    const most = plan === 'impatient' ? 1 : Infinity;
    const told = await this.#attempts.ask({ place: `${name} prepare`, name, type: 'prepare', most });
    if (told === 'no answer') return 'none';
    const { vote, result, xid } = told.answer;
    this.#known.results[name] = result;
    if (typeof xid === 'string') this.#known.xids[name] = xid;
    if (isRepeated(plan)) {
      if (name === 'north')
        await this.#attempts.ask({ place: 'north prepare, retried', name, type: 'prepare', first: 2 });
      else await this.#attempts.ask({ place: 'south prepare, delivered again', name, type: 'prepare' });
    }
    return vote;
  }

  async #decide(place: Place, propose: Decision): Promise<Decision> {
    const more = { propose, branches: [], ...this.#wanted('north', propose) };
    const { answer } = await this.#insist({ place, name: 'north', type: 'decide', more });
    this.#acknowledged('north', answer['ack'] as Told['answer']); // Casts: answers of the package.
    return answer['decision'] as Decision;
  }

  async #finish(place: Place, decision: Decision): Promise<void> {
    const more = this.#wanted('south', decision);
    const { answer } = await this.#insist({ place, name: 'south', type: decision, more });
    this.#acknowledged('south', answer);
  }

  /** What the recovery workflows of both participants do when they find nobody at work. */
  async #recover(): Promise<void> {
    const look = { graceMs: 0, forMs: 0, everyMs: 1, known: [] };
    for (const name of [...NAMES].reverse()) {
      const watched = await this.#insist({ place: `${name} watch`, name, type: 'recovery.watch', more: look });
      const overdue = watched.answer['overdue'] as Settleable[]; // Cast: an answer of the package.
      const ours = overdue.filter(({ gid }) => gid.includes(keyOf(this.#scene.transaction)));
      if (ours.length === 0) this.#scene.note(`${name} has nothing in doubt`);
      for (const { gid, transaction, branch } of ours) {
        const word = { name: 'north', type: 'recovery.decide', more: this.#scene.entry } as const;
        const told = await this.#insist({ place: `north's word for ${name}`, ...word });
        const more = { gid, transaction, branch, decision: told.answer['decision'] };
        const settled = await this.#insist({ place: `${name} settle`, name, type: 'recovery.settle', more });
        this.#acknowledged(name, settled.answer);
      }
    }
  }

  /** As a person in psql would. */
  async #byHand(verb: 'commit' | 'rollback'): Promise<void> {
    const { prepared } = await this.#scene.standing('south');
    if (prepared.length !== 1) throw new Error(`south has ${prepared.length} prepared`);
    for (const gid of prepared) await this.#scene.world.direct('south').pool.query(`${verb} prepared '${gid}'`);
    this.#scene.note(`a person said ${verb} prepared`);
  }

  async #insist(question: Question): Promise<Told> {
    const told = await this.#attempts.ask(question);
    if (told === 'no answer') throw new Error(`${question.place} was never answered`);
    return told;
  }

  /** The xid that came with the vote, and the result if it did not. */
  #wanted(name: Name, decision: Decision): object {
    const { xids, results } = this.#known;
    return {
      ...(xids[name] === undefined ? {} : { xid: xids[name] }),
      ...(decision === 'commit' && results[name] === undefined ? { wantsResult: true } : {}),
    };
  }

  #acknowledged(name: Name, ack: Told['answer']): void {
    if (ack['result'] !== undefined) this.#known.results[name] = ack['result'];
    if (ack['kind'] !== 'applied') this.#known.strange[name] = ack;
  }
}
