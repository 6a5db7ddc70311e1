/**
 * One look of an audit: what it has found and counted so far, and which databases failed on the way. A database that fails is
 * named, and what would need it is not judged.
 */
import { decisionsOf } from '../../participant';
import type { TransactionKey, Viewer } from '../../participant';
import { tellFailure } from '../databases';
import type { Database, Unreachable } from '../databases';
import type { Accepted } from './accepted';
import type { Finding, Limits } from './judge-decision';

/** What was looked at. */
export interface Counts {
  commits: number;
  aborts: number;
  /** Branches whose row was compared with the decision. */
  compared: number;
  /** Branches that voted `read-only`: no row is possible, and none is needed. */
  readOnly: number;
  /** Branches that are not a participant's of this package, purged, too young, or known by a gid only. */
  notJudged: number;
  /** Prepared transactions of the participants, young ones included. */
  prepared: number;
  /** Prepared transactions of others: named, and left alone. */
  strangers: number;
  /** Records of preparations older than the grace period. */
  preparations: number;
  /** Of these, the ones that came to nothing: recovery clears them. */
  leftOver: number;
  /** Branches that a person finished by hand. */
  heuristics: number;
  /** Branches that did otherwise than decided, which a person has accepted. */
  accepted: number;
}

export interface LookOptions extends Limits {
  readonly namespace: string;
  /** Only these transactions. */
  readonly only?: ReadonlySet<TransactionKey>;
}

/** More than any server holds: nothing is left out. */
export const ALL_PREPARED = 1_000_000;

export class Look {
  findings: Finding[] = [];
  readonly accepted: Accepted[] = [];
  readonly notes: string[] = [];
  readonly notLookedAt: Unreachable[] = [];
  readonly counts: Counts = {
    commits: 0,
    aborts: 0,
    compared: 0,
    readOnly: 0,
    notJudged: 0,
    prepared: 0,
    strangers: 0,
    preparations: 0,
    leftOver: 0,
    heuristics: 0,
    accepted: 0,
  };

  constructor(
    readonly databases: readonly Database[],
    readonly options: LookOptions,
  ) {}

  /** Undefined when the database fails, or has failed before: then it is not asked again. */
  async ask<T>(database: Database, question: () => Promise<T>): Promise<T | undefined> {
    const { participant } = database;
    if (this.notLookedAt.some((one) => one.participant === participant)) return undefined;
    try {
      return await question();
    } catch (error) {
      this.isAbsent(participant, tellFailure(database, error));
      return undefined;
    }
  }

  isAbsent(participant: string, why: string): void {
    if (!this.notLookedAt.some((one) => one.participant === participant)) this.notLookedAt.push({ participant, why });
  }

  /** `unreadable`: the register was not looked at, and is named as such. */
  async decisionOf(register: string, key: TransactionKey): Promise<'commit' | 'abort' | 'none' | 'unreadable'> {
    const database = this.databases.find(({ participant }) => participant === register);
    if (database === undefined) {
      this.isAbsent(register, 'It is not configured, and branches name it as their register.');
      return 'unreadable';
    }
    const found = await this.ask(database, () => decisionsOf(database.pool, [key]));
    return found === undefined ? 'unreadable' : (found[0]?.decision ?? 'none');
  }

  isWanted(key: TransactionKey): boolean {
    return this.options.only?.has(key) ?? true;
  }

  viewerOf = (participant: string): Viewer => ({ participant, namespace: this.options.namespace });
}
