/**
 * The numbers of transactions that are begun inside of one, or by a workflow, from which their ids are made: see `inTransaction`.
 *
 * What is tried again begins the same ones again, in the same order, and they keep their ids: what one of them has committed, or may have, is
 * found done. Only one that has undone itself gets another one, because under its id that is final.
 */
import { patched } from '@temporalio/workflow';

export interface Numbered {
  readonly number: number;
  /** Those inside of it. */
  readonly inside: Numbering;
  /** Whether nothing of it stands, or ever will under its id. */
  isUndone: boolean;
}

/** One try of something. */
export interface Try {
  /** Of the one that it begins now. */
  next(): Numbered;
}

export class Numbering {
  #last = 0;
  readonly #begun = new Map<string, Numbered[]>();

  /** @param what is tried, for the first time or again */
  tryOf(what: string): Try {
    const before = this.#begun.get(what) ?? [];
    this.#begun.set(what, before);
    let begun = 0;
    return {
      next: () => {
        const place = begun++;
        const known = before[place];
        // The version before gave it another one, and did again what it does.
        if (known && !known.isUndone && patched('temporal-txn-same-inside')) return known;
        return (before[place] = { number: ++this.#last, inside: new Numbering(), isUndone: false });
      },
    };
  }
}
